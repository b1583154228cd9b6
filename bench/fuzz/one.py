"""One target, driven by atheris until time is up: python -m fuzz.one NAME LIBFUZZER_ARGUMENTS..."""

import sys

import atheris

with atheris.instrument_imports(include=["onejob", "prometheus_client"]):
    from fuzz.targets import try_one


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, lambda data: try_one(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
