"""Kinds of files by their path: listed source, test, test data, documentation, or run by other programs."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from governance.irongate.paths import is_runner_file, is_test_path
from governance.irongate.tables import word_list, word_set

SOURCE = ".py"
"""The suffix of the language whose tests the daemon runs."""
DOCUMENTS = (".md", ".rst", ".adoc", ".asciidoc", ".markdown")
PLAIN_DOCUMENTS = word_set(
    """
    readme changes changelog history news authors contributors contributing license licence copying notice thanks
    todo security maintainers code_of_conduct copyright
    """
)
DOCUMENT_FOLDERS = frozenset({"doc", "docs", "documentation"})
DATA = word_list(
    """
    .json .txt .csv .tsv .xml .yaml .yml .toml .ini .html .htm .md .rst .png .jpg .jpeg .gif .log .expected .out
    .golden .snap
    """
)
ORDERS = word_set(
    """
    claude.md claude.local.md agents.md agent.md gemini.md skill.md copilot-instructions.md conventions.md llms.txt
    robots.txt cmakelists.txt meson_options.txt runtime.txt manifest.txt
    """
)
"""Texts that programs take orders from."""
BUILT = word_set(
    """
    setup.py conf.py conftest.py noxfile.py toxfile.py fabfile.py dodo.py tasks.py build.py _build.py hatch_build.py
    build_backend.py backend.py manage.py wscript.py waf.py conanfile.py versioneer.py locustfile.py bootstrap.py
    ez_setup.py install.py deploy.py release.py sitecustomize.py usercustomize.py gunicorn.conf.py gunicorn_conf.py
    settings_local.py sconstruct.py snakefile.py pavement.py make.py run.py autoload.py __pypackages__.py
    pytest_plugins.py get-pip.py get_pip.py meson.py jupyter_notebook_config.py ipython_config.py pants.py site.py
    """
)
"""Python that other programs start by its name."""
BUILT_FOLDERS = word_set(
    """
    bin sbin script scripts hook hooks ci deploy deployment infra infrastructure ops docker ansible terraform packer
    salt puppet chef helm k8s kubernetes debian rpm snap buildscripts build_tools cron jobs systemd roles playbooks
    git-hooks githooks actions workflows extensions site-packages dist-packages node_modules vendor
    """
)
"""Folders at the top of a tree whose programs are started by other things than the tests; the last three anywhere."""
ANYWHERE = frozenset({"site-packages", "dist-packages", "node_modules", "hooks", "workflows"})
DEPENDENCIES = re.compile(r"^(?:requirements|constraints|dependencies|packages|apt|pip)\b.*")


class FileKind(StrEnum):
    """Who runs a file, or reads it."""

    SOURCE = "source"
    TEST = "test"
    DATA = "test data"
    DOCUMENT = "documentation"
    ELSEWHERE = "a file that other programs or machines run"
    UNLISTED = "neither listed source, documentation nor test data"


def fold_component(component: str) -> str:
    """A component as some file systems see it: compatibility forms, lower case, no dots or blanks at its end."""
    return unicodedata.normalize("NFKC", component).casefold().rstrip(". ")


def kind_of(path: str) -> FileKind:
    """The kind of the file at ``path``. A file with an odd name is no source."""
    *folders, name = path.split("/")
    seen, low = [fold_component(folder) for folder in folders], fold_component(name)
    if any(_odd(part) for part in (*folders, name)):
        return FileKind.UNLISTED
    if any(folder.startswith(".") for folder in seen) or low.startswith("."):
        return FileKind.ELSEWHERE
    if ANYWHERE.intersection(seen) or (seen and seen[0] in BUILT_FOLDERS) or low in BUILT or low in ORDERS:
        return FileKind.ELSEWHERE
    if is_runner_file(path.casefold()) or is_runner_file("/".join((*seen, low))):
        return FileKind.ELSEWHERE
    stem, dot, suffix = low.rpartition(".")
    if low.endswith(SOURCE):
        if not name.endswith(SOURCE) or not all(part.isascii() for part in (*folders, name)):
            return FileKind.UNLISTED
        return FileKind.TEST if is_test_path(path) else FileKind.SOURCE
    if DEPENDENCIES.match(low) or "requirements" in seen:
        return FileKind.ELSEWHERE
    if is_test_path(path) and folders and low.endswith(DATA):
        return FileKind.DATA
    document = low.endswith(DOCUMENTS) or (suffix == "txt" and bool(DOCUMENT_FOLDERS.intersection(seen)))
    if document or ((not dot or suffix == "txt") and (stem or low) in PLAIN_DOCUMENTS):
        return FileKind.DOCUMENT
    return FileKind.UNLISTED


def _odd(part: str) -> bool:
    """A name that is not written as an ordinary file's."""
    return (
        not part
        or part != part.rstrip(". ")
        or part[0] in " -~"
        or not part.isprintable()
        or any("\ud800" <= char <= "\udfff" for char in part)
    )
