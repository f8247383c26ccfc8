"""docker-compose.yml is valid, and every path, port, command and name in it exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from indexer.milvus.address import parse_address
from service.cli import app
from service.settings import Settings

SETTINGS = {f"QUARTET_{name.upper()}" for name in Settings.model_fields}
OF_COMPOSE = {
    "QUARTET_VIDEOS",
    "QUARTET_LIBRARY",
    "QUARTET_USER",
    "QUARTET_PUBLISH",
    "QUARTET_PUBLISH_GPU",
    "QUARTET_PUBLISH_GRAFANA",
}
"""Variables of docker-compose.yml that are not settings of the service."""
OF_THE_NETWORK = {"HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
EXAMPLE = Path(__file__).parents[2] / ".env.example"
OURS = ("service", "indexer", "service-gpu", "indexer-gpu")


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    """The compose specification's schema, as check-jsonschema carries it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def variables(text: str) -> set[str]:
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text))


def test_it_is_valid_by_the_specification(root: Path) -> None:
    result = check_schema(root / "docker-compose.yml")
    assert result.returncode == 0, result.stdout


def test_the_specification_refuses_a_misspelt_key(root: Path, tmp_path: Path) -> None:
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    wrong = tmp_path / "compose.yml"
    wrong.write_text(text.replace("read_only:", "readonly:"), encoding="utf-8")
    result = check_schema(wrong)
    assert result.returncode == 1 and "readonly" in result.stdout


def test_its_paths_exist(root: Path, compose: dict[str, Any], dockerfile: str) -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, flags=re.MULTILINE))
    for name in OURS:
        build = compose["services"][name]["build"]
        assert (root / build["context"] / build["dockerfile"]).is_file()
        assert build["target"] in stages
        assert set(build.get("args", {})) <= set(re.findall(r"^ARG (\w+)", dockerfile, flags=re.MULTILINE))
    named = set(compose["volumes"])
    for name, service in compose["services"].items():
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            # The folder of the videos is the user's; everything else is in the repository or a volume.
            assert source in named or source == "./videos" or (root / source).is_file(), (name, volume)


def test_what_it_mounts_is_where_the_images_look(compose: dict[str, Any], dockerfile: str) -> None:
    environment = dict(re.findall(r"(HOME|QUARTET_LIBRARY)=(\S+)", dockerfile))
    made = re.findall(r"(?:mkdir|--mode 1777) ([^\\\n&]+)", dockerfile)
    folders = {folder for line in made for folder in line.split()}
    for name in OURS:
        targets = {volume.rsplit("}", 1)[-1].removeprefix("models") for volume in compose["services"][name]["volumes"]}
        assert targets == {f":{environment['QUARTET_LIBRARY']}", ":/videos:ro", f":{environment['HOME']}/.cache"}
        assert {target.split(":")[1] for target in targets} <= folders


def test_no_container_of_ours_can_do_more_than_it_needs(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"] == "${QUARTET_USER:-10001:10001}"
        assert "./videos}:/videos:ro" in service["volumes"][1]


def test_the_user_of_the_images_is_not_root(dockerfile: str) -> None:
    assert re.findall(r"^USER (\S+)", dockerfile, flags=re.MULTILINE) == ["10001:10001"] * 2
    assert "useradd --uid 10001" in dockerfile


def test_everything_is_published_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert len(set(ports)) == 3
    for port in ports:
        assert re.fullmatch(r"\$\{QUARTET_PUBLISH\w*:-127\.0\.0\.1:\d+\}:\d+", port)


def test_the_ports_are_those_that_are_listened_on(root: Path, compose: dict[str, Any], dockerfile: str) -> None:
    script = (root / "docker" / "serve.sh").read_text()
    listened = set(re.findall(r"quartet serve .*--port (\d+)", script))
    assert len(listened) == 1
    (port,) = listened
    assert re.findall(r"^EXPOSE (\d+)", dockerfile, flags=re.MULTILINE) == [port]
    assert f'"127.0.0.1", {port}' in (root / "docker" / "healthcheck.py").read_text()
    for name in ("service", "service-gpu"):
        (published,) = compose["services"][name]["ports"]
        assert published.endswith(f":{port}")
        # What serve.sh is told is what is published.
        assert compose["services"][name]["environment"]["QUARTET_PUBLISH"] == published.rsplit(":", 1)[0]


def test_its_commands_exist(root: Path, dockerfile: str) -> None:
    """Every `quartet ...` and `compose run indexer ...` that is run or shown."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    texts = [dockerfile.replace('", "', " ")]
    places = ["docker/serve.sh", "docker/prove.sh", "docker-compose.yml", "docs/deployment.md", "README.md"]
    texts += [(root / place).read_text(encoding="utf-8") for place in places]
    found = set()
    for text in texts:
        pattern = r"(?:^|[\s\"])(?:quartet|indexer(?:-gpu)?|quartet-indexer:cpu) ([a-z-]+)((?: [^\s\"`]+)*)"
        for command, rest in re.findall(pattern, "\n".join(line for line in text.splitlines() if is_shown(line))):
            if command not in commands:
                continue
            found.add(command)
            options = {option for parameter in commands[command].params for option in parameter.opts}
            if hasattr(commands[command], "commands"):
                continue
            assert set(re.findall(r"(?<= )--[a-z-]+", rest)) <= options, (command, rest)
    assert {"serve", "index", "demo", "status"} <= found


def is_shown(line: str) -> bool:
    """Whether a line runs something or shows it: not prose."""
    return line.startswith(("    ", "RUN", "exec", "HEALTH", "#  ", "compose", "# docker")) or "quartet serve" in line


def test_its_variables_are_settings_or_its_own(root: Path, compose: dict[str, Any]) -> None:
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    assert variables(text) <= OF_COMPOSE | {"QUARTET_API_KEY"}
    passed = {key for name in OURS for key in compose["services"][name]["environment"]}
    # Where things are in the container, and where the service listens there, is not for .env to say.
    fixed = {"QUARTET_LIBRARY", "QUARTET_MODELS", "QUARTET_HOST", "QUARTET_PORT", "QUARTET_TEXT_CACHE"}
    assert SETTINGS - fixed <= set(compose["services"]["service"]["environment"])
    assert passed - OF_COMPOSE - OF_THE_NETWORK - {"QUARTET_API_KEY"} <= SETTINGS


def test_the_example_names_every_variable_with_its_default(root: Path, compose: dict[str, Any]) -> None:
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    example = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (root / ".env.example").read_text(), flags=re.MULTILINE))
    passed = {key for name in OURS for key in compose["services"][name]["environment"]}
    assert set(example) == variables(text) | passed
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]+)\}", text))
    assert {name: example[name] for name in defaults} == defaults
    for name, field in Settings.model_fields.items():
        shown = example.get(f"QUARTET_{name.upper()}")
        if isinstance(field.default, int):
            assert shown in (None, str(field.default))


@pytest.mark.skipif("api_key" not in Settings.model_fields, reason="This service knows no keys.")
def test_the_names_of_the_key_are_settings(root: Path, compose: dict[str, Any]) -> None:
    scripts = "".join((root / "docker" / name).read_text() for name in ("serve.sh", "healthcheck.py"))
    assert set(re.findall(r"QUARTET_\w+", scripts)) <= SETTINGS | {"QUARTET_PUBLISH"}
    assert "QUARTET_API_KEY" in compose["services"]["service"]["environment"]


def test_the_health_check_asks_a_route_that_exists(root: Path) -> None:
    paths = json.loads((root / "docs" / "openapi.json").read_text())["paths"]
    (path,) = re.findall(r'"GET", "(/\w+)"', (root / "docker" / "healthcheck.py").read_text())
    assert "get" in paths[path]


def test_services_wait_for_those_that_they_need(compose: dict[str, Any]) -> None:
    assert compose["services"]["prometheus"]["depends_on"] == {"service": {"condition": "service_healthy"}}
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def test_milvus_keeps_its_data_and_is_reached_from_inside_alone(root: Path, compose: dict[str, Any]) -> None:
    milvus = compose["services"]["milvus"]
    assert milvus["profiles"] == ["scale"]
    assert "ports" not in milvus
    assert re.search(r":v\d+\.\d+\.\d+$", milvus["image"])
    mounts = dict(volume.removesuffix(":ro").split(":")[::-1] for volume in milvus["volumes"])
    assert mounts["/var/lib/milvus"] in compose["volumes"]
    assert milvus["environment"]["ETCD_DATA_DIR"].startswith("/var/lib/milvus/")
    etcd = yaml.safe_load((root / mounts[milvus["environment"]["ETCD_CONFIG_PATH"]]).read_text())
    assert etcd["listen-client-urls"] == etcd["advertise-client-urls"] == "http://127.0.0.1:2379"


def test_the_address_of_milvus_that_is_shown_is_its_service(root: Path, compose: dict[str, Any]) -> None:
    shown = re.findall(r"milvus://([\w.-]+):(\d+)/\w+", (root / "docs" / "deployment.md").read_text())
    assert shown
    for host, port in shown:
        assert host in compose["services"] and port == "19530"
    assert all(parse_address(address) for address in re.findall(r"milvus://\S+:\d+/\w+", EXAMPLE.read_text()))


def test_prometheus_and_grafana_find_each_other(root: Path, compose: dict[str, Any]) -> None:
    services = compose["services"]
    scraped = yaml.safe_load((root / "docker" / "prometheus.yml").read_text())["scrape_configs"]
    for job in scraped:
        for target in (target for config in job["static_configs"] for target in config["targets"]):
            assert target.split(":")[0] in services and target.endswith(":8000")
    command = services["prometheus"]["entrypoint"][-1]
    mounted = [volume.split(":")[1] for volume in services["prometheus"]["volumes"]]
    assert re.findall(r"--config.file=(\S+)", command) == mounted[:1]
    assert re.findall(r"--storage.tsdb.path=(\S+)", command) == mounted[1:]
    assert f"> {scraped[0]['authorization']['credentials_file']};" in command

    mounts = dict(volume.removesuffix(":ro").split(":") for volume in services["grafana"]["volumes"])
    grafana = root / "docker" / "grafana"
    (source,) = yaml.safe_load((grafana / "datasource.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((grafana / "provider.yml").read_text())["providers"]
    board = mounts["./docker/grafana/quartet.json"]
    assert board.startswith(provider["options"]["path"])
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == board
    panels = json.loads((grafana / "quartet.json").read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def test_the_dashboard_shows_what_the_service_measures(root: Path) -> None:
    sources = "".join(path.read_text() for path in (root / "service").rglob("*.py"))
    measured = set(re.findall(r'"(quartet_\w+)"', sources))
    board = json.loads((root / "docker" / "grafana" / "quartet.json").read_text())
    text = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    shown = {re.sub(r"_(total|bucket|sum|count|info)$", "", name) for name in re.findall(r"quartet_\w+", text)}
    assert shown and shown <= measured
