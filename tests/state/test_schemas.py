"""A schema of PostgreSQL for each project."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.schemas import drop_schema, make_schema, schema_of, url_within
from state.builders import a_deployment
from state_postgres import Postgres


def test_facts_of_a_project_are_in_a_schema_of_its_own_and_go_with_it(postgres: Postgres) -> None:
    url = postgres.fresh()
    server = Database(url)
    server.migrate()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: make_schema(server, schema_of("a-shop")), range(4)))
    shop = Database(url_within(url, schema_of("a-shop")))
    shop.migrate()
    shop.migrate()
    deployment = a_deployment()
    Deployments(shop).add(deployment)
    assert (Deployments(shop).count(), Deployments(server).count()) == (1, 0)
    with shop.read() as connection:
        assert connection.execute(text("SELECT current_schema()")).scalar_one() == "onejob_a_shop"
    shop.close()
    drop_schema(server, schema_of("a-shop"))
    drop_schema(server, schema_of("a-shop"))
    make_schema(server, schema_of("a-shop"))
    again = Database(url_within(url, schema_of("a-shop")))
    again.migrate()
    assert Deployments(again).count() == 0
    again.close()
    server.close()


def test_what_an_address_says_already_stays_in_it() -> None:
    url = url_within("postgresql+psycopg://me:pass%40word@db/onejob?options=-cstatement_timeout%3D5s", "onejob_shop")
    told = Database(url).url
    assert told.query["options"] == "-cstatement_timeout=5s -csearch_path=onejob_shop"
    assert told.password == "pass@word"
