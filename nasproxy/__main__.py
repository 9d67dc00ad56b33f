"""`python -m nasproxy`."""

from nasproxy.cli import main

if __name__ == "__main__":
    main()
