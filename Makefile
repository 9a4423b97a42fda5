# make demo | make test | make test-jazzy | make lint | make language | make bench | make quality (an hour) | make field | make reality (20 minutes) | make soak (a quarter of an hour). Each makes .venv first; afterwards only what has changed is built again.
VENV ?= .venv
ROS :=
PYTHON := $(VENV)/bin/python

BUILT_FROM := setup.py CMakeLists.txt package.xml $(wildcard cmake/* msg/* srv/* config/* launch/* ig_ros/raster/native/*)

.PHONY: bench docs demo field test test-jazzy lint build build-jazzy language quality reality soak
.DELETE_ON_ERROR:

demo: build
	$(VENV)/bin/ig demo

docs: build
	$(PYTHON) -m mkdocs build --strict

language: build
	OMP_WAIT_POLICY=passive $(PYTHON) -m benchmarks.language --page docs/language.md

# Speed, as ratios of one run. BENCH=--quick for a look, "--only raster step" for parts.
bench: build
	OMP_WAIT_POLICY=passive $(PYTHON) -m benchmarks.bench $(BENCH)

# One thread per process: two maps are made at a time. QUALITY=--quick, --resume or "--scannet ROOT".
quality: build
	OMP_NUM_THREADS=1 $(PYTHON) -m benchmarks.quality $(QUALITY)

# A real kitchen, real tabletops, perturbed frames: docs/reality.md. REALITY="--only kitchen", --quick or --resume.
reality: build
	OMP_NUM_THREADS=1 $(PYTHON) -m benchmarks.reality $(REALITY)

# Every fault of a robot, and kill -9 while training and saving; writes docs/soak.md. SOAK=--quick for a look.
soak: build
	OMP_WAIT_POLICY=passive $(PYTHON) -m benchmarks.soak $(SOAK)

# What real robots send, row by row; status 1 on a miss. FIELD="-k depth" for a part.
field: build
	OMP_WAIT_POLICY=passive $(PYTHON) -m benchmarks.field $(FIELD)

# Two workers of one thread each; a file's tests stay together, since they share what is costly to make.
PYTEST := -m pytest -n 2 --dist loadfile

test: lint
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(PYTHON) $(PYTEST)

# The tests that depend on rclpy, on ROS 2 Jazzy with the NumPy, SciPy and OpenCV of Ubuntu 24.04.
test-jazzy: build-jazzy
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive .venv-jazzy/bin/python $(PYTEST) test/nodes test/cli/test_play.py test/test_launch.py

build-jazzy:
	@$(MAKE) --no-print-directory build VENV=.venv-jazzy ROS=jazzy

lint: build
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(VENV)/bin/vermin --target=3.10- --no-tips --quiet --violations ig_ros launch
	$(VENV)/bin/hadolint docker/*

build: $(VENV)/.built

$(VENV)/.dependencies: pyproject.toml constraints$(ROS:%=-%).txt scripts/install.sh scripts/system_packages.sh
	@echo "installing dependencies into $(VENV) (minutes, once)"
	@scripts/install.sh dependencies $(VENV) $(ROS)
	@touch $@

$(VENV)/.built: $(VENV)/.dependencies $(BUILT_FROM)
	@echo "building messages and rasteriser"
	@scripts/install.sh package $(VENV) $(ROS)
	@touch $@
