"""A route for each handler, however many ids there are."""

import random
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.tail.errors import FormatError
from onejob.tail.routes import MOST_WORDS, Routes


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/cart", "/cart"),
        ("/cart/", "/cart/"),
        ("/api/v2/orders", "/api/v2/orders"),
        ("/orders/8412/items", "/orders/{id}/items"),
        (f"/orders/{uuid.UUID(int=7)}", "/orders/{id}"),
        ("/users/ada@example.com", "/users/{id}"),
        ("/reset/mFqPzrTkLwXbNcVdGhJs", "/reset/{id}"),
        ("/blobs/deadbeefdeadbeefdeadbeef", "/blobs/{id}"),
        ("/products/blue-shirt-1234", "/products/{id}"),
        ("/2026/11/26", "/{id}/{id}/{id}"),
        ("/caf%C3%A9", "/{id}"),
        ("/static/app.3f9a2c1b.js", "/static/{id}.js"),
        ("/img/1234.PNG", "/img/{id}.png"),
        ("/index.php", "/index.php"),
        ("/oauth2/token", "/oauth2/token"),
        ("/getUserProfile", "/getUserProfile"),
        ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/{rest}"),
        ("*", ""),
    ],
)
def test_ids_become_variables_and_words_stay(path: str, route: str) -> None:
    assert Routes().route(path, 200) == route


@given(st.integers(0, 2**32))
@settings(max_examples=10)
def test_routes_stay_few_however_many_paths_there_are(seed: int) -> None:
    routes, draw = Routes(), random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-._%"
    found = {routes.route("/" + "".join(draw.choices(letters, k=draw.randrange(40))), 200) for _ in range(1000)}
    assert len(found) <= MOST_WORDS + 3  # words, `/`, `{id}` and `{name}`


def test_too_many_words_below_a_prefix_are_one_name_from_then_on() -> None:
    routes = Routes()
    posts = [f"/blog/{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(MOST_WORDS + 10)]
    found = [routes.route(post, 200) for post in posts]
    assert found[:MOST_WORDS] == posts[:MOST_WORDS]
    assert set(found[MOST_WORDS:]) == {"/blog/{name}"}
    assert {routes.route(post, 200) for post in posts} == {"/blog/{name}"}
    assert routes.route("/cart", 200) == "/cart"
    assert Routes(named=routes.named).route(posts[0], 200) == "/blog/{name}"


def test_what_nobody_serves_has_no_route_and_teaches_none() -> None:
    routes = Routes()
    assert [routes.route(f"/{letter}.php", 404) for letter in "abcdef"] == [""] * 6
    assert routes.route("/cart", 200) == "/cart"
    assert routes.route("/cart", 404) == "/cart"
    assert routes.route("/down", 503) == "/down"


def test_routes_that_are_given_come_first() -> None:
    routes = Routes(["/blog/{slug}", "/files/{path*}", "/v1.0/x"])
    assert routes.route("/blog/how-we-deploy", 404) == "/blog/{slug}"
    assert routes.route("/files/a/b/c.txt", 200) == "/files/{path*}"
    assert routes.route("/v1.0/x", 200) == "/v1.0/x"
    assert routes.route("/v1x0/x", 200) != "/v1.0/x"
    assert routes.route("/blog/a/b", 200) == "/blog/a/b"


@pytest.mark.parametrize("template", ["blog/{slug}", "/blog/{slug", "/blog/{1}", "/blog?x={y}"])
def test_what_is_no_route_is_refused(template: str) -> None:
    with pytest.raises(FormatError, match="write it as"):
        Routes([template])
