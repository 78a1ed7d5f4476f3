"""The rules of the house, as far as a machine can hold us to them."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grimp
import pytest

import stream_app

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT: Final = Path(__file__).resolve().parents[2]
CORE: Final = sorted((PROJECT / "stream_app" / "core").rglob("*.py"))
LOCKS: Final = sorted((PROJECT / "requirements").glob("*.txt"))

# --- the pure core: what import-linter cannot see from a module's name alone ----------------------------------------

# Names whose use reads the world, a clock, or a source of randomness that all the process shares. Whole modules of that
# kind (`time`, `os`, `random`, ...) are forbidden as imports by the contracts in pyproject.toml.
IMPURE: Final = re.compile(
    r"""
      (open|input|print|breakpoint|eval|exec|__import__)              # builtins that touch the world
    | hash                                                            # of text it differs from process to process
    | (\w+\.)*(datetime|date)\.(now|utcnow|today)
    | (np|numpy)\.random\.(?!Generator$|default_rng$|PCG64(DXSM)?$|Philox$|SeedSequence$|BitGenerator$)\w+
    | (np|numpy)\.(load|save|savez|fromfile|memmap|loadtxt|savetxt|genfromtxt)
    | io\.(?!BytesIO$|StringIO$)\w+
    | pickle\.loads?
    """,
    re.VERBOSE,
)
UNSEEDED: Final = re.compile(r"(np|numpy)\.random\.(default_rng|PCG64(DXSM)?|Philox|SeedSequence)")


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression that is such a chain of names, else nothing."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr) if head := dotted(value):
            return f"{head}.{attr}"
        case _:
            return ""


def impurities(code: str) -> Iterator[str]:
    """Every impure name in a module's code, with its line."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Name(ctx=ast.Load()) | ast.Attribute():
                name = dotted(node)
                if IMPURE.fullmatch(name):
                    yield f"line {node.lineno}: {name}"
            case ast.Call(func=func, args=[], keywords=[]) if UNSEEDED.fullmatch(dotted(func)):
                yield f"line {node.lineno}: {dotted(func)}() without a seed"
            case ast.ImportFrom(module=module, names=names):
                for name in (f"{module}.{alias.name}" for alias in names):
                    if IMPURE.fullmatch(name):
                        yield f"line {node.lineno}: {name}"
            case _:
                pass


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_the_core_reads_no_clock_no_file_and_no_shared_randomness(path: Path) -> None:
    assert list(impurities(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "datetime.now()",
        "datetime.datetime.now(UTC)",
        "date.today()",
        "now = datetime.now",
        "np.random.rand(3)",
        "from numpy.random import shuffle",
        "np.random.default_rng()",
        "numpy.random.seed(1)",
        "open('x')",
        "hash('customer')",
        "io.open('x')",
        "pickle.loads(b'')",
    ],
)
def test_the_guard_of_the_core_sees(code: str) -> None:
    assert list(impurities(code))


@pytest.mark.parametrize(
    "code",
    [
        "np.random.default_rng(seed)",
        "np.random.Generator(np.random.PCG64(7))",
        "io.BytesIO(blob)",
        "datetime.fromisoformat(text)",
        "def __hash__(self) -> int: return 1",
        "event.open",
    ],
)
def test_the_guard_of_the_core_lets_pass(code: str) -> None:
    assert list(impurities(code)) == []


def test_pickles_are_read_in_one_module_only() -> None:
    imports = re.compile(r"^\s*(import|from) (pickle|dill|cloudpickle|joblib)\b", re.MULTILINE)
    readers = [path.name for path in (PROJECT / "stream_app").rglob("*.py") if imports.search(text_of(path))]
    assert len(readers) <= 1, readers


def test_no_imports_go_in_a_circle() -> None:
    graph = grimp.build_graph("stream_app", cache_dir=None)  # with the imports that only types need
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # an error names the circle


# --- what is installed ----------------------------------------------------------------------------------------------


def pyproject() -> dict[str, Any]:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    requirements = re.findall(r"^[\w.-]+==(?:.*\\\n)*.*", text, re.MULTILINE)
    assert requirements
    assert [r.split()[0] for r in requirements if "--hash=sha256:" not in r] == []
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url.*|--find-links.*", text) == []


def test_the_locks_agree() -> None:
    runtime, dev = (pins(PROJECT / "requirements" / name) for name in ("runtime.txt", "dev.txt"))
    assert runtime < dev
    bootstrap = pins(PROJECT / "requirements" / "bootstrap.txt")
    shared = {name for name, _ in dev} & {name for name, _ in bootstrap}
    assert {pin for pin in bootstrap if pin[0] in shared} < dev


def test_every_declared_package_is_locked() -> None:
    project = pyproject()["project"]
    declared = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    locked = {name for name, _ in pins(PROJECT / "requirements" / "runtime.txt")}
    assert {re.split(r"[<>=]", requirement)[0] for requirement in declared} <= locked


@pytest.mark.parametrize("name", ["faust", "kafka", "river", "redis", "prometheus_client"])
def test_a_package_that_the_product_is_built_on_imports(name: str) -> None:
    assert importlib.import_module(name).__name__ == name


def test_what_only_a_replay_needs_is_imported_by_a_replay_only() -> None:
    extra = "{'altair', 'duckdb', 'pyarrow', 'vl_convert', 'xlsxwriter'}"
    code = f"import sys, stream_app.cli; print(*{extra} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr


# --- what people read -----------------------------------------------------------------------------------------------

# Packages and pages whose texts are checked: docstrings, help, errors, settings, log lines, and prose.
PLAIN: Final = (
    "stream_app",
    "docs",
    "prometheus",
    "deploy",
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
    "docker-compose.yml",
    "pyproject.toml",
)
READ: Final = {".py", ".md", ".toml", ".yml", ".yaml", ".lua", ""}  # suffixes; the Makefile has none
DECISIONS: Final = "docs/adr/"  # records of their time
# Archaic words, invented names of parts, and phrases that read as translated.
HOUSE_WORDS: Final = re.compile(
    r"""\b(
      nought | anew | whom | whoever | whomever | heretofore
    | lanes? | desks? | deliverers? | episodes? | nominees? | aligners? | lookouts? | leash
    | tells? | told | hears? | heard | buried | bury
    | what\s(becomes|became|comes|came)\sof | is\sto\sbe\shad | was\sto\sbe\stold | so\smany
    | of\sours | its\slast\swords
    | (he|him|his|she)                                              # a customer is "they"
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
# What users typed or stored before 0.2, by file.
OLD_NAMES: Final = {
    "stream_app/cli/commands.py": {"desk", "episode"},
    "stream_app/adapters/redis/delivery_store.py": {"deliverer"},
    "stream_app/adapters/redis/scripts/commit.lua": {
        "  'count:states', 'count:outbox', 'count:episodes')",
        "  'count:episodes', redis.call('HLEN', alerts))",
    },
    "stream_app/core/messages/schema.py": {"nominee", "opening.nominee.customer"},
    "stream_app/core/partition/progress.py": {"desk"},
    "stream_app/services/allocator/service.py": {"desk"},
}
# Pages that list old names beside the present ones, the table of stored names, and what the staff does.
EXEMPT: Final = {
    "docs/how-to/upgrade.md",
    "stream_app/adapters/redis/keys.py",
    "docs/reference/playbook.md",
    "stream_app/notifications/playbook/playbook.yaml",
}


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every string of a module, or every line of another file outside code, with its line number."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value
    else:
        fenced = False
        for number, line in enumerate(text_of(path).splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if not fenced:
                yield number, re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)


def house_words(path: Path) -> list[str]:
    name = path.relative_to(PROJECT).as_posix()
    allowed = OLD_NAMES.get(name, set())
    return [
        f"{name}:{line}: {found[0]}"
        for line, text in texts_of(path)
        if text not in allowed
        for found in HOUSE_WORDS.finditer(text)
    ]


@pytest.mark.parametrize("place", PLAIN)
def test_texts_are_plain_english(place: str) -> None:
    below = (path for path in tracked() if path.suffix in READ and not path.name.endswith(".zh.md"))
    names = {path: path.relative_to(PROJECT).as_posix() for path in below}
    chosen = [
        path
        for path, name in names.items()
        if f"{name}/".startswith(f"{place}/") and DECISIONS not in name and name not in EXEMPT
    ]
    assert chosen
    assert [word for path in chosen for word in house_words(path)] == []


@pytest.mark.parametrize(
    "text", ["The desk opens it.", "Nobody was told.", "what becomes of an order", "so many at most"]
)
def test_the_guard_of_words_sees(text: str) -> None:
    assert HOUSE_WORDS.search(text)


@pytest.mark.parametrize("text", ["episode_acked", "theory", "a desktop", "churn_desk_moments", "the plane"])
def test_the_guard_of_words_lets_pass(text: str) -> None:
    assert not HOUSE_WORDS.search(text)


# --- what is in the tree ---------------------------------------------------------------------------------------------


def tracked() -> list[Path]:
    """The files of the project: what git tracks or would track, or in an unpacked archive, all."""
    git = shutil.which("git")
    if git is None or not (PROJECT / ".git").exists():
        skip = {".venv", "build", "dist", "__pycache__"}
        return [p for p in PROJECT.rglob("*") if p.is_file() and not skip & set(p.relative_to(PROJECT).parts)]
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [PROJECT / name for name in names if name and (PROJECT / name).is_file()]


# A path that only one person's machine has.
MACHINE_PATH: Final = re.compile(
    r"""(?<![\w.*~$}])(?:/root|/home/[a-z]\w*|/Users/\w+|/work|/tmp/\w+|[A-Z]:\\Users)(?=[/\\\s"'`]|$)"""
)


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # a picture or a packed sample


def test_no_path_of_one_machine() -> None:
    others = (path for path in tracked() if path != Path(__file__))  # this file has examples of them
    found = {str(path.relative_to(PROJECT)): MACHINE_PATH.findall(text_of(path)) for path in others}
    assert {name: paths for name, paths in found.items() if paths} == {}


@pytest.mark.parametrize("line", ["/root/x", "see '/home/ann/shop'", "cd /work", "/tmp/run1 "])
def test_the_guard_of_paths_sees(line: str) -> None:
    assert MACHINE_PATH.search(line)


@pytest.mark.parametrize("line", ["../shared/data", "https://example.org/home/x", "tests/work/x", "benchmarks/home"])
def test_the_guard_of_paths_lets_pass(line: str) -> None:
    assert not MACHINE_PATH.search(line)


def test_the_version_is_told_once_and_the_changelog_knows_it() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    assert "## [Unreleased]" in changelog
    assert re.fullmatch(r"\d+\.\d+\.\d+", stream_app.__version__)
    assert released[:1] in ([], [stream_app.__version__])
    assert "version" in pyproject()["project"]["dynamic"]


def test_every_decision_is_in_the_index() -> None:
    folder = PROJECT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", index))
    assert linked == {path.name for path in folder.glob("[0-9]*.md")}


def test_every_decision_has_the_parts_of_the_template() -> None:
    folder = PROJECT / "docs" / "adr"
    parts = re.findall(r"^## .+$", (folder / "template.md").read_text(encoding="utf-8"), re.MULTILINE)
    for path in sorted(folder.glob("[0-9]*.md")):
        assert [part for part in parts if part not in path.read_text(encoding="utf-8")] == [], path.name


def test_the_licence_that_is_named_is_the_licence_that_is_there() -> None:
    assert pyproject()["project"]["license"] == "Apache-2.0"
    text = (PROJECT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
