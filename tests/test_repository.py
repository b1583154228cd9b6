"""What the repository promises about itself: pages are not stale, linters accept its files, locks are exact."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import doors
import onejob
from onejob.cli.main import app
from onejob.config import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
BIN = Path(sys.executable).parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _run(*command: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", ["configuration.py", "cli_reference.py", "roles.py", "sizing.py"])
def test_the_generated_pages_are_not_stale(script: str) -> None:
    result = _run(sys.executable, f"scripts/{script}", "--check")
    assert result.returncode == 0, result.stderr


def test_every_setting_is_described() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`ONEJOB_{name.upper()}`" in page


def test_settings_that_pages_name_exist() -> None:
    known = {f"ONEJOB_{name.upper()}" for name in Settings.model_fields} | {
        "ONEJOB_URL",
        "ONEJOB_TOKEN",
        "ONEJOB_LOG_LEVEL",
        "ONEJOB_BACKTEST_STORE_URL",
    }
    for page in [*PAGES, ROOT / "Dockerfile", ROOT / "deploy/compose.yaml", ROOT / "deploy/collector.yaml"]:
        assert set(re.findall(r"ONEJOB_[A-Z0-9_]+", page.read_text())) <= known, page.name


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~! ;]", text)[0].lower() for text in requirements} - {"onejob"}


def _declared() -> set[str]:
    extras = PROJECT["optional-dependencies"].values()
    return _names(PROJECT["dependencies"]).union(*(_names(extra) for extra in extras))


def test_every_door_was_seen_to_be_used_by_a_real_client() -> None:
    assert doors.modules_that_spool() == set(doors.OTHERS), "a new door has a name there, and a test with its client"
    assert doors.doors_on_page() == doors.product_doors(), "make doors"


def test_every_dependency_says_what_it_earns() -> None:
    lines = (ROOT / "docs/dependencies.md").read_text().splitlines()
    described = {match[1] for line in lines if (match := re.match(r"- `([^`]+)`: \S", line))}
    assert described == _declared()


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("server", ["server"]),
        ("demo", ["server", "demo"]),
        ("dev", ["server", "demo", "dev"]),
        ("bench", ["server", "bench"]),
    ],
)
def test_the_locks_are_exact_complete_and_name_no_index(lock: str, extras: list[str]) -> None:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))
    wanted = _names(PROJECT["dependencies"])
    for extra in extras:
        wanted |= _names(PROJECT["optional-dependencies"][extra])
    assert wanted <= set(pinned)
    assert "://" not in text
    assert "index" not in text
    assert text.count("--hash=sha256:") >= len(pinned)


@pytest.mark.parametrize("lock", ["server", "demo", "dev"])
def test_the_bill_of_materials_has_what_the_locks_have_and_no_more(lock: str) -> None:
    made = _run(sys.executable, "scripts/sbom.py", lock).stdout
    assert made == _run(sys.executable, "scripts/sbom.py", lock).stdout, "the same locks make the same bytes"
    bill = json.loads(made)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["purl"] == f"pkg:pypi/onejob@{PROJECT['version']}"
    listed = [one["purl"] for one in bill["components"]]
    assert [one["bom-ref"] for one in bill["components"]] == listed
    lines = (ROOT / f"requirements/{lock}.txt").read_text().splitlines()
    pinned = [line.split()[0].replace("==", "@") for line in lines if re.match("[a-z]", line)]
    ours = [f"{one['name']}@{one['version']}" for one in bill["components"] if one["purl"].startswith("pkg:pypi/")]
    assert ours == pinned
    built_in = json.loads((ROOT / "browser/package.json").read_text())["dependencies"]
    font = re.search(r"inter (\S+),", (ROOT / "src/onejob/web/static/vendor/VERSIONS.txt").read_text())
    assert font
    assert [one for one in listed if one.startswith("pkg:npm/")] == [
        *(f"pkg:npm/{name}@{version}" for name, version in built_in.items()),
        f"pkg:npm/%40fontsource-variable/inter@{font[1]}",
    ]
    assert len(set(listed)) == len(listed) > len(pinned)
    hashes = [
        one["content"]
        for part in bill["components"]
        for way in part["externalReferences"]
        for one in way.get("hashes", [])
    ]
    told = [line.partition("--hash=sha256:")[2].split()[0] for line in lines if "--hash=" in line]
    assert [one for one in hashes if len(one) == len(told[0])] == told


def test_what_the_script_for_browsers_is_built_from_is_exact_named_and_has_no_address() -> None:
    package = json.loads((ROOT / "browser/package.json").read_text())
    lock = (ROOT / "browser/package-lock.json").read_text()
    wanted = package["dependencies"] | package["devDependencies"]
    locked = {path: one for path, one in json.loads(lock)["packages"].items() if path}
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(one["integrity"].startswith("sha512-") for one in locked.values())
    assert "://" not in lock
    page = (ROOT / "docs/dependencies.md").read_text()
    assert all(name in page for name in wanted)


def test_the_version_is_the_same_everywhere() -> None:
    assert onejob.__version__ == PROJECT["version"]
    assert f"## {PROJECT['version']} " in (ROOT / "CHANGELOG.md").read_text()
    assert COMPOSE["services"]["onejob"]["image"] == f"onejob:{PROJECT['version']}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_readme_lists_every_page_of_the_folder_docs() -> None:
    listed = set(re.findall(r"\]\((docs/[a-z-]+\.md)\)", (ROOT / "README.md").read_text()))
    assert listed == {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md")}


def _documented_commands() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for line in page.read_text().replace(" >\n", "\n").splitlines():
            found = re.match(r"(?:    |\s*- (?:run: )?)(onejob [a-z].*)", line)
            if found and page.name != "cli.md":
                yield page.name, shlex.split(found[1].partition(" && ")[0], comments=True)


def test_commands_in_the_pages_exist_with_their_options() -> None:
    documented = list(_documented_commands())
    assert len(documented) > 10
    for page, words in documented:
        command: Any = typer.main.get_command(app)
        rest = words[1:]
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        used = {word for word in rest if word.startswith("--")}
        assert used <= options, (page, words)


def test_settings_in_json_can_be_pasted_into_a_shell() -> None:
    found = {page.name: re.findall(r"^ *(?:export )?ONEJOB_[A-Z_]+=[\[{].*", page.read_text(), re.M) for page in PAGES}
    assert not {name: lines for name, lines in found.items() if lines}


def test_connecting_a_service_takes_five_lines() -> None:
    page = (ROOT / "docs/connect.md").read_text()
    blocks = FENCE.findall(page)
    assert [language for language, _ in blocks] == ["sh", "sh", "sh", "go", "yaml"]
    assert all(len(text.strip().splitlines()) <= 5 for _, text in blocks)


def test_yaml_in_the_pages_is_yaml() -> None:
    for page in PAGES:
        for language, text in FENCE.findall(page.read_text()):
            if language == "yaml":
                assert yaml.safe_load(text), page.name


def test_hadolint_accepts_the_dockerfile() -> None:
    result = _run(BIN / "hadolint", "Dockerfile")
    assert result.returncode == 0, result.stdout


def test_yamllint_accepts_what_is_deployed() -> None:
    result = _run(BIN / "yamllint", "--strict", "deploy")
    assert result.returncode == 0, result.stdout


def test_images_are_pinned_to_a_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = [*re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)]
    images += [service["image"] for service in COMPOSE["services"].values()]
    assert all(re.search(r":\d+\.\d+|@sha256:", image) for image in images)


def test_the_container_has_no_rights_it_does_not_need() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    final = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert re.search(r"^USER (?!0$|root$)\S+$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert 'ENTRYPOINT ["' in final


def test_compose_publishes_on_loopback_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_is_complete_in_itself() -> None:
    for name, service in COMPOSE["services"].items():
        assert "healthcheck" in service or name == "onejob", name  # onejob's is in its image
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])
        named = {volume.partition(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
        assert named <= set(COMPOSE["volumes"])
        for variable in service.get("environment", {}):
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), f"{name} has a password in {variable}"


def test_the_collectors_configuration_is_complete_in_itself() -> None:
    config = yaml.safe_load((ROOT / "deploy/collector.yaml").read_text())
    for pipeline in config["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= set(config[kind])
    assert set(config["service"]["extensions"]) <= set(config["extensions"])
    assert config["exporters"]["otlp_grpc/onejob"]["endpoint"] == "onejob:4317"


def test_every_target_of_the_makefile_can_be_planned() -> None:
    for target in ("demo", "serve", "test", "check", "bench-ingest", "lock", "sbom", "docs", "doors"):
        result = _run("make", "--dry-run", target, "ARGS=--help")
        assert result.returncode == 0, result.stderr
        if target not in ("docs", "doors"):
            assert "--help" in result.stdout


@pytest.mark.parametrize("script", sorted(ROOT.glob("scripts/*.sh")), ids=lambda script: script.name)
def test_shell_scripts_parse_and_can_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    result = _run("sh", "-n", script)
    assert result.returncode == 0, result.stderr
