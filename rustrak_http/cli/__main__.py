"""``python -m rustrak_http.cli`` is ``rustrak``."""

from rustrak_http.cli.run import main

if __name__ == "__main__":
    main()
