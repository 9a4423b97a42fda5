"""`python -m ig_ros.cli`, where no `ig` is installed."""

from ig_ros.cli import main

if __name__ == "__main__":
    main()
