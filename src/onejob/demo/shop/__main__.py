"""`python -m onejob.demo.shop SERVICE`."""

from onejob.demo.shop.server import main

if __name__ == "__main__":
    main()
