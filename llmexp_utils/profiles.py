"""Profiles: one YAML file sets the parameters of every notebook of a study, checked before anything runs.

``common:`` applies to each notebook that has the field; a section named after a notebook applies to that
one, and wins; ``minutes:`` holds estimates; ``sweep:`` lists of values (:mod:`llmexp_utils.sweep`); ``resources:``
what a notebook that trains asks of a cluster. Everything else is what the notebook's own ``parameters`` cell says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmexp_utils.errors import StudyError
from llmexp_utils.notebooks import read_cells, read_parameters
from llmexp_utils.params import Params, hint

RESOURCES = {"gpu": "GPUs", "mem_mb": "megabytes of memory", "runtime": "minutes"}


@dataclass(frozen=True)
class Profile:
    """A profile file; ``sections``: values by notebook (or "common"); ``minutes``: estimates.

    ``sweep``: lists of values by notebook and parameter; ``resources``: numbers, see :data:`RESOURCES`.
    """

    name: str
    path: Path
    sections: dict[str, dict[str, Any]]
    minutes: dict[str, float]
    sweep: dict[str, dict[str, list[Any]]]
    resources: dict[str, int]


def profile_path(folder: Path, name: str) -> Path:
    """File of a profile by name; an unknown name lists those that exist."""
    known = [path.stem for path in folder.glob("*.yaml")]
    if name not in known:
        raise StudyError(f"unknown profile '{name}'{hint(name, known)} (a profile is {folder.name}/NAME.yaml)")
    return folder / f"{name}.yaml"


def read_profile(path: Path, models: Mapping[str, type[Params]]) -> Profile:
    """Read a profile file and check the names in it; :func:`resolve` checks the values."""
    content = _read_yaml(path)
    known = [*models, "common", "minutes", "sweep", "resources"]
    fields = {name for model in models.values() for name in model.model_fields}
    problems = [f"unknown notebook '{name}'{hint(name, known)}" for name in content if name not in known]
    for name, section in content.items():
        if not isinstance(section, dict):
            problems.append(f"'{name}:' needs lines `name: value` below it, or must be left out")
    if not problems:
        extra = [key for key in content.get("common", {}) if key not in fields]
        problems += [f"unknown parameter '{key}' in common{hint(key, fields)}" for key in extra]
        problems += _minutes_problems(content.get("minutes", {}), models)
        problems += _sweep_problems(content.get("sweep", {}), models)
        problems += _resources_problems(content.get("resources", {}))
        problems += [
            f"'profile' in {name}: leave it out, a profile is named after its file"
            for name, section in content.items()
            if "profile" in section
        ]
    if problems:
        raise StudyError("\n".join(f"{path.name}: {problem}" for problem in problems))
    minutes = {name: float(value) for name, value in content.pop("minutes", {}).items()}
    sweep, resources = content.pop("sweep", {}), content.pop("resources", {})
    return Profile(path.stem, path, content, minutes, sweep, resources)


def resolve(profile: Profile, name: str, model: type[Params], notebooks: Path) -> Params:
    """Parameters of one notebook under a profile: its own defaults, then ``common``, then its section.

    A default path ``runs/<any>/…`` becomes ``runs/<profile>/…``: no profile writes over another's results.

    Raises
    ------
    StudyError
        With one line for each mistake, in the notebook's ``parameters`` cell or in the profile.
    """
    cells = read_cells(notebooks / f"{name}.ipynb")
    try:
        declared = read_parameters(cells)
        own = {parameter.name: parameter.value for parameter in declared}
        model.check(own)
    except StudyError as error:
        raise StudyError(_prefix(f"notebooks/{name}.ipynb", error)) from None
    for field in [*model.names("reads"), *model.names("writes")]:
        own[field] = re.sub(r"^runs/[^/]+/", f"runs/{profile.name}/", own[field])
    fields = model.model_fields
    common = {key: value for key, value in profile.sections.get("common", {}).items() if key in fields}
    named = {"profile": profile.name} if "profile" in fields else {}
    try:
        return model.check({**own, **named, **common, **profile.sections.get(name, {})})
    except StudyError as error:
        raise StudyError(_prefix(profile.path.name, error)) from None


def resolve_all(
    profile: Profile, names: Iterable[str], models: Mapping[str, type[Params]], notebooks: Path
) -> dict[str, Params]:
    """Parameters of several notebooks; the mistakes of all of them are told at once."""
    found: dict[str, Params] = {}
    problems: list[str] = []
    for name in names:
        try:
            found[name] = resolve(profile, name, models[name], notebooks)
        except StudyError as error:
            problems += str(error).splitlines()
    if problems:
        raise StudyError("\n".join(dict.fromkeys(problems)))
    return found


def _prefix(place: str, error: StudyError) -> str:
    return "\n".join(f"{place}: {line}" for line in str(error).splitlines())


def _minutes_problems(minutes: dict[str, Any], models: Mapping[str, type[Params]]) -> list[str]:
    extra = [name for name in minutes if name not in models]
    problems = [f"unknown notebook '{name}' in minutes{hint(name, models)}" for name in extra]
    for name, value in minutes.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            problems.append(f"minutes of {name}: {value!r} is not a number above zero")
    return problems


def _sweep_problems(sweep: dict[str, Any], models: Mapping[str, type[Params]]) -> Iterator[str]:
    for name, over in sweep.items():
        place = f"sweep of {name}"
        if name not in models:
            yield f"unknown notebook '{name}' in sweep{hint(name, models)}"
        elif not isinstance(over, dict) or not over:
            yield f"{place}: needs lines `parameter: [value, value]` below it"
        else:
            for key, values in over.items():
                yield from (f"{place}: {line}" for line in _axis_problems(key, values, models[name]))


def _axis_problems(key: str, values: Any, model: type[Params]) -> Iterator[str]:
    """What is wrong with the values of one swept parameter; their types are checked with each point."""
    types = model.plain_types()
    if key not in types:
        yield f"unknown parameter '{key}'{hint(key, types)}"
    elif key == "profile" or key in model.names("writes"):
        yield f"'{key}' cannot be swept: each point has its own"
    elif not isinstance(values, list) or not values:
        yield f"{key}: {values!r} is no list of values" if values != [] else f"{key}: the list is empty"
    else:
        if types[key].startswith("list") and not all(isinstance(value, list) for value in values):
            listed = [value if isinstance(value, list) else [value] for value in values]
            yield f"{key}: each value is itself a list; write {listed}"
        again = [value for number, value in enumerate(values) if value in values[:number]]
        yield from (f"{key}: {value!r} stands twice; leave one out" for value in again)


def _resources_problems(resources: dict[str, Any]) -> Iterator[str]:
    for key, value in resources.items():
        if key not in RESOURCES:
            yield f"unknown resource '{key}'{hint(key, RESOURCES)}"
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            yield f"resources: {key}: {value!r} is not a whole number of {RESOURCES[key]}"


def _read_yaml(path: Path) -> dict[str, Any]:
    """Content of a YAML file; a key that stands twice is refused (YAML would drop the first)."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [(loader.construct_object(key), key.start_mark.line + 1) for key, _ in node.value]
        for position, (key, line) in enumerate(keys):
            if key in [earlier for earlier, _ in keys[:position]]:
                raise StudyError(f"{path.name}, line {line}: '{key}' is set twice")
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StudyError(f"{path.name}: needs sections such as `common:`, one a notebook")
    return content
