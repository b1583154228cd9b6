"""What tells errors apart is functions: not where they are installed, nor what a compiler called a lambda."""

import doctest
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.verdict import modules
from onejob.verdict.fingerprints import fingerprint
from onejob.verdict.frames import frames_of

# A trace of each language: {at} is where it is installed, {line} a line, {address} an address, {name} the function.
PACKAGED = {
    "python": 'Traceback (most recent call last):\n  File "{at}/checkout/orders.py", line {line}, in place\n'
    '  File "{at}/checkout/pricing.py", line {line}, in {name}\n    return 1\nKeyError: 1\n',
    "python group": "  + Exception Group Traceback (most recent call last):\n"
    '  |   File "{at}/checkout/pricing.py", line {line}, in {name}\n',
    "node": "TypeError: {address}\n    at {name} ({at}/checkout/pricing.js:{line}:17)\n"
    "    at async Orders.place [as run] (file://{at}/checkout/orders.js:{line}:5)\n"
    "    at Promise.all (index {line})\n    at node:internal/process/task_queues:95:5\n",
    "java": "com.shop.PriceException: {address}\n\tat com.shop.Pricing.{name}(Pricing.java:{line})\n"
    "\tat com.shop.Orders.lambda$place${line}(Orders.java:{line})\n"
    "\tat com.shop.Orders$$Lambda${line}/{address}.apply(Unknown Source)\n"
    "\tat jdk.proxy2/jdk.proxy2.$Proxy{line}.place(Unknown Source)\n"
    "\tat app//com.shop.Server$1.run(Server.java:{line}) ~[shop.jar:1.{line}]\n",
    "go": "goroutine {line} [running]:\nshop/pricing.{name}({address}, 0x11)\n\t{at}/pricing/pricing.go:{line} +0x1d\n"
    "shop/orders.(*Server).Place.func1.{line}()\n\t{at}/internal/orders/orders.go:{line} +0x2f\n"
    "created by net/http.(*Server).Serve in goroutine {line}\n\t/usr/local/go/src/net/http/server.go:{line} +0x1\n",
    "dotnet": "   at Shop.Pricing.<>c__DisplayClass{line}_0.<{name}>b__{line}(Order o) in {at}/Pricing.cs:line {line}\n"
    "   at Shop.Orders.<Place>d__{line}.MoveNext() in {at}/Orders.cs:line {line}\n"
    "--- End of stack trace from previous location ---\n"
    "   at System.Threading.Tasks.Task.Execute()\n",
    "dotnet without symbols": "   at Shop.Pricing.{name}(Order order)\n   at Shop.Orders.<Place>g__Local|{line}_0()\n",
    "ruby": "{at}/checkout/pricing.rb:{line}:in `block ({line} levels) in {name}'\n"
    "{at}/views/orders.html.erb:{line}:in `_views_orders_html_erb__{line}_{line}'\n",
    "ruby 3.4": "{at}/lib/pricing.rb:{line}:in 'Shop::Pricing#{name}'\n",
    "php": "#0 {at}/src/Orders.php({line}): Shop\\Pricing->{name}('sku-{line}')\n#1 [internal function]: Shop\\run()\n"
    "#2 {at}/vendor/slim/App.php({line}): Slim\\App->run()\n",
    "php closure": "#0 {at}/src/Orders.php({line}): {{closure:Shop\\Pricing::{name}():{line}}}({line})\n",
    "browser": "{name}@https://{line}.example/checkout/main.{hash}.js:1:{line}\n",
}  # fmt: skip
# A file that lies where the service is installed, with no package around it.
BARE = {
    "python": 'Traceback (most recent call last):\n  File "{at}/main.py", line {line}, in {name}\n',
    "node": "Error\n    at {name} ({at}/server.js:{line}:1)\n",
    "php": "#0 {at}/index.php({line}): {name}()\n",
    "ruby": "{at}/main.rb:{line}:in `{name}'\n",
}
FOLDERS = st.lists(st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
NOT_A_LIBRARY = FOLDERS.filter(lambda path: not modules.is_of_a_library(f"{path}/x"))
RELEASES = st.one_of(
    st.sampled_from(
        ["/app", "/usr/src/app", "/srv/shop/current", "/var/www/html", "/opt/code", "/home/mo", "C:/inetpub"]
    ),
    st.dates().map(lambda day: f"/srv/releases/{day:%Y%m%d%H%M%S}"),
    st.from_regex(r"/opt/checkout-v?[0-9]{1,3}(\.[0-9]{1,3}){0,3}", fullmatch=True),
    st.from_regex(r"/builds/[0-9a-f]{7,40}", fullmatch=True),
)
NAMES = st.from_regex(r"[a-z][A-Za-z]{2,11}", fullmatch=True)
PLACES = st.fixed_dictionaries(
    {
        "line": st.integers(1, 99_999),
        "address": st.integers(2**16, 2**48).map(hex),
        "hash": st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    }
)


def marked(stack: str, **values: object) -> str:
    text = re.sub(r"(?<!\{)\{(at|line|address|hash|name)\}(?!\})|\{\{closure|\}\}", lambda m: _filled(m, values), stack)
    return fingerprint("E", "", text)[0]


def _filled(found: "re.Match[str]", values: dict[str, object]) -> str:
    return str(values[found[1]]) if found[1] else found[0][0] + found[0][2:]


@pytest.mark.untraced
@pytest.mark.parametrize("language", PACKAGED)
@given(name=NAMES, ats=st.tuples(NOT_A_LIBRARY, NOT_A_LIBRARY), places=st.tuples(PLACES, PLACES))
@settings(max_examples=25)
def test_lines_addresses_and_where_it_is_installed_do_not_matter(
    language: str, name: str, ats: tuple[str, str], places: tuple[dict[str, object], dict[str, object]]
) -> None:
    first, second = (
        marked(PACKAGED[language], name=name, at=at, **place) for at, place in zip(ats, places, strict=True)
    )
    assert first == second


def test_a_frame_without_a_function_is_told_by_its_file() -> None:
    stack = "Error: x\n    at https://shop.example/cart.html:12:3"
    assert fingerprint("Error", "x", stack)[1] == "Error in shop.example/cart.html"


@pytest.mark.untraced
@pytest.mark.parametrize("language", BARE)
@given(ats=st.tuples(RELEASES, RELEASES), places=st.tuples(PLACES, PLACES))
@settings(max_examples=25)
def test_a_file_without_a_package_is_the_same_wherever_releases_are_put(
    language: str, ats: tuple[str, str], places: tuple[dict[str, object], dict[str, object]]
) -> None:
    first, second = (
        marked(BARE[language], name="price", at=at, **place) for at, place in zip(ats, places, strict=True)
    )
    assert first == second


@pytest.mark.untraced
@pytest.mark.parametrize("language", PACKAGED)
@given(names=st.tuples(NAMES, NAMES).filter(lambda pair: pair[0] != pair[1]), at=NOT_A_LIBRARY, place=PLACES)
@settings(max_examples=25)
def test_another_function_is_another_error(
    language: str, names: tuple[str, str], at: str, place: dict[str, object]
) -> None:
    first, second = (marked(PACKAGED[language], name=name, at=at, **place) for name in names)
    assert first != second


def test_the_same_function_of_another_module_is_another_error() -> None:
    orders, users = (f'  File "/app/{module}/models.py", line 3, in save\n' for module in ("orders", "users"))
    assert fingerprint("E", "", orders)[0] != fingerprint("E", "", users)[0]


def test_how_deep_a_recursion_went_does_not_matter() -> None:
    once, often = ('  File "/app/a/b.py", line 3, in walk\n' * times for times in (2, 200))
    assert fingerprint("RecursionError", "", once)[0] == fingerprint("RecursionError", "", often)[0]


def test_of_exceptions_in_a_chain_the_one_thrown_last_counts() -> None:
    cause = 'Traceback (most recent call last):\n  File "/app/a/db.py", line 3, in connect\nOSError\n'
    last = 'Traceback (most recent call last):\n  File "/app/a/web.py", line 9, in answer\nRuntimeError\n'
    chain = f"{cause}\nDuring handling of the above exception, another exception occurred:\n\n{last}"
    assert fingerprint("RuntimeError", "", chain) == fingerprint("RuntimeError", "", last)


def test_go_packages_called_internal_are_the_services_own() -> None:
    stack = "main.run()\n\t/app/main.go:3 +0x1\n"
    inner = "shop/internal/pricing.Price(...)\n\t/app/internal/pricing/pricing.go:9 +0x1\n"
    assert fingerprint("E", "", inner + stack)[1] == "E in shop/internal/pricing.Price (pricing/pricing.go)"


def test_names_that_a_bundler_made_up_are_not_compared_with_those_of_another_build() -> None:
    builds = [f"    at {name} (https://shop.example/assets/main.{build}.js:1:4242)\n" for name, build in
              (("t.e", "8f3a2b1c"), ("n", "0badcafe"))]  # fmt: skip
    first, second = (fingerprint("TypeError", "x is not a function", stack) for stack in builds)
    assert first == second
    assert first[1] == "TypeError: x is not a function"


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        ("   at " + "a." * 160 + "b(", ") in x("),
        ("  at f (a", "-a"),
        ("   at ", "a:1:1b "),
        ("a@", ":1"),
        ("#1 ", "(1)"),
    ],
)
def test_a_line_that_is_made_to_take_long_does_not(begin: str, piece: str) -> None:
    """Where a pattern tried each way to cut it, this would take minutes."""
    line = (begin + piece * 500)[:990]
    stack = "\n".join(["Error: x", *[line] * 8])
    assert all(len(frames_of(stack)) <= 8 for _ in range(100))


def test_the_examples_of_modules_run() -> None:
    assert doctest.testmod(modules).failed == 0
