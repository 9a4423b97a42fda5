#!/usr/bin/env bash
# Debian packages that pip cannot bring: a compiler, and the shared libraries Open3D loads.
# Installs what is missing when run as root, otherwise prints the command and fails.
set -euo pipefail

missing=()
need_library() { ldconfig -p | grep -qF "$1" || missing+=("$2"); }
have_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
need_command() { command -v "$1" >/dev/null || missing+=("$2"); }
PATH="$PATH:/sbin:/usr/sbin"
need_library libusb-1.0.so.0 libusb-1.0-0
need_library libGL.so.1 libgl1
need_library libgomp.so.1 libgomp1
need_command g++ g++
need_command gcc gcc

# The browser that test/viewer opens the web page in: in CI only, where those tests fail without one.
if [ -n "${CI:-}" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && ! have_browser; then
  echo "installing Debian package: chromium"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium ||
    echo "no chromium could be installed: test/viewer will fail" >&2
fi

# The compiler and emulator with which test/raster/test_aarch64.py runs the kernels of another processor: as above.
if [ -n "${CI:-}" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && ! command -v qemu-aarch64-static >/dev/null; then
  echo "installing Debian packages: g++-aarch64-linux-gnu qemu-user-static"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++-aarch64-linux-gnu qemu-user-static ||
    echo "no emulator here: test/raster/test_aarch64.py will be skipped"
fi

[ "${#missing[@]}" -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing Debian packages: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
  echo "These system packages are missing. Install them, then run make again:" >&2
  echo "  sudo apt-get install -y ${missing[*]}" >&2
  exit 1
fi
