"""The same error has the same fingerprint, wherever its lines have moved to."""

import doctest
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.verdict import fingerprints
from onejob.verdict.fingerprints import fingerprint, steady

PYTHON = """Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/fastapi/routing.py", line 301, in app
    raw_response = await run_endpoint_function(
  File "/app/checkout/orders.py", line 88, in place
    total = price(lines)
  File "/app/checkout/pricing.py", line 42, in price
    return PRICES[sku]
KeyError: 'sku-17'
"""
JAVA = """com.shop.PriceException: no price for 17
\tat com.shop.checkout.Pricing.price(Pricing.java:42)
\tat com.shop.checkout.Orders.lambda$place$3(Orders.java:88)
\tat com.shop.checkout.Orders$$Lambda$123/0x0000000800c2.apply(Unknown Source)
\tat java.base/java.util.stream.ReferencePipeline.map(ReferencePipeline.java:197)
\tat org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:897)
"""
NODE = """TypeError: Cannot read properties of undefined (reading 'price')
    at price (/app/src/pricing.js:42:17)
    at async placeOrder (/app/src/orders.js:88:5)
    at Layer.handle [as handle_request] (/app/node_modules/express/lib/router/layer.js:95:5)
    at node:internal/process/task_queues:95:5
"""
BROWSER = """price@https://shop.example/assets/main.8f3a2b1c.js:1:4242
placeOrder@https://shop.example/assets/main.8f3a2b1c.js:1:8888
"""
GO = """goroutine 7 [running]:
main.price(0xc000012345, 0x11)
\t/app/checkout/pricing.go:42 +0x1d
main.(*Server).placeOrder(0xc0000a)
\t/app/checkout/orders.go:88 +0x2f
net/http.HandlerFunc.ServeHTTP(0xc0)
\t/usr/local/go/src/net/http/server.go:2136 +0x29
"""
DOTNET = """System.Collections.Generic.KeyNotFoundException: The given key was not present.
   at Shop.Checkout.Pricing.Price(Order order) in C:\\src\\Checkout\\Pricing.cs:line 42
   at Shop.Checkout.Orders.Place(Order order) in C:\\src\\Checkout\\Orders.cs:line 88
"""
PHP = """#0 /app/src/Orders.php(88): Shop\\Pricing->price('sku-17')
#1 /app/vendor/slim/App.php(12): Slim\\App->run()
"""
RUBY = """/app/lib/pricing.rb:42:in `price'
/usr/lib/ruby/gems/3.2.0/gems/rack-3.0/lib/rack.rb:10:in `call'
"""
STACKS = {
    "python": (PYTHON, "price (checkout/pricing.py)"),
    "java": (JAVA, "com.shop.checkout.Pricing.price (Pricing.java)"),
    "node": (NODE, "price (src/pricing.js)"),
    "browser": (BROWSER, "price (assets/main.js)"),
    "go": (GO, "main.price (checkout/pricing.go)"),
    "dotnet": (DOTNET, "Shop.Checkout.Pricing.Price(Order order) (Checkout/Pricing.cs)"),
    "php": (PHP, "Shop\\Pricing->price (src/Orders.php)"),
    "ruby": (RUBY, "price (lib/pricing.rb)"),
}


def test_the_examples_run() -> None:
    assert doctest.testmod(fingerprints).failed == 0


@pytest.mark.parametrize("language", STACKS)
def test_the_title_names_the_innermost_own_frame(language: str) -> None:
    stack, where = STACKS[language]
    assert fingerprint("E", "", stack)[1] == f"E in {where}"


@pytest.mark.parametrize("language", STACKS)
@given(shift=st.integers(1, 5000))
@settings(deadline=None, max_examples=10)
def test_lines_addresses_and_messages_do_not_matter(language: str, shift: int) -> None:
    stack, _ = STACKS[language]
    moved = re.sub(r"(?<=[:( ])(42|88|301|95)(?=\D)", lambda m: str(int(m[1]) + shift), stack)
    moved = moved.replace("sku-17", f"sku-{shift}").replace("0x1d", hex(shift)).replace("8f3a2b1c", f"{shift:08x}")
    assert moved != stack
    assert fingerprint("E", str(shift), moved)[0] == fingerprint("E", "", stack)[0]


@pytest.mark.parametrize("language", STACKS)
def test_another_function_or_another_type_is_another_error(language: str) -> None:
    stack, _ = STACKS[language]
    renamed = stack.replace("price", "discount").replace("Price(", "Discount(")
    assert fingerprint("E", "", renamed)[0] != fingerprint("E", "", stack)[0]
    assert fingerprint("F", "", stack)[0] != fingerprint("E", "", stack)[0]


def test_an_upgrade_of_a_library_is_no_new_error() -> None:
    upgraded = PYTHON.replace("routing.py", "routing_v2.py").replace("raw_response", "response")
    assert fingerprint("E", "", upgraded)[0] == fingerprint("E", "", PYTHON)[0]


def test_without_a_stack_the_message_counts_without_what_varies() -> None:
    first, title = fingerprint("Timeout", "order 17 of 'anna' after 3.5 s (id 4bf92f3577b34da6a3ce929d0e0e4736)", "")
    second, _ = fingerprint("Timeout", "order 99 of 'bob' after 12 s (id 00f067aa0ba902b7aabbccddeeff0011)", "")
    assert title == "Timeout: order * of * after *.* s (id *)"
    assert steady("after 12 s") == "after * s"
    assert first != second  # "3.5" has a point more: close enough is not the same
    assert fingerprint("Timeout", "order 99 of 'bob' after 1.2 s (id 00f067aa0ba902b7aabbccddeeff0011)", "")[0] == first


@pytest.mark.untraced
@given(st.text(max_size=400), st.text(max_size=100), st.text(max_size=2000))
@settings(deadline=None, max_examples=60)
def test_whatever_is_thrown_has_a_short_title(kind: str, message: str, stack: str) -> None:
    mark, title = fingerprint(kind, message, stack)
    assert re.fullmatch(r"[0-9a-f]{16}", mark)
    assert 0 < len(title) <= 120
