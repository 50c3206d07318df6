"""Find, inherit and override specs.

>>> Library().load("sites", "generic").kind  # doctest: +SKIP
'sites'
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from aicompute.errors import SpecError, UnknownNameError, UsageError, nearest
from aicompute.specs import check, files, schema
from aicompute.specs.inherit import as_values, laid_over
from aicompute.specs.override import key_of, override_plain, override_value
from aicompute.specs.spec import Leaf, Spec, leaves, with_leaf
from aicompute.specs.value import Value

_VARIANTS = 16
"""Libraries with changed values that a library keeps."""
_OWN = ("name", "aliases", "notes", "extends", "abstract")
"""Keys that are about a file, not about the thing, and so are not inherited."""


class _Inherited(NamedTuple):
    """A spec with what it inherits."""

    spec: Spec
    faults: list[str]
    """Of its file and those it extends."""
    ids: frozenset[tuple[str, str]]
    """Kind and id of each of them: an override of any changes it."""


class Library:
    """The specs of some folders; later folders win over earlier ones.

    Parameters
    ----------
    folders : iterable of paths
        Searched after the built-in specs and ``$AICOMPUTE_SPECS``. A file may extend one of the same id in an earlier folder.
    """

    def __init__(self, folders: Iterable[str | os.PathLike[str]] = ()) -> None:
        self.folders = files.search_path(folders)
        self._overrides: dict[tuple[str, str], dict[str, Any]] = {}
        self._listings: dict[str, list[dict[str, Path]]] = {}
        self._loaded: dict[Path, Spec] = {}
        self._named: dict[tuple[str, str], Spec] = {}
        self._ids: dict[tuple[str, bool], list[str]] = {}
        self._unknown: dict[tuple[str, str], UnknownNameError] = {}
        self._inherited: dict[Path, _Inherited] = {}
        self._base: Library | None = None  # the same without overrides
        self._variants: dict[tuple[tuple[str, str, Any], ...], Library] = {}
        self._stamps: dict[str, files.Stamp] = {}

    def fresh(self) -> bool:
        """Whether every file and folder that was read so far, by this library or one made from it, is as it was then."""
        stamp = files.stamp
        for path, then in self._stamps.items():  # noqa: SIM110 - a third of the time of all()
            if stamp(path) != then:
                return False
        return True

    def _note(self, path: Path) -> None:
        """Remember the state of a file or folder that is about to be read."""
        name = str(path)
        if name not in self._stamps:
            self._stamps[name] = files.stamp(name)

    def ids(self, kind: str, abstract: bool = False) -> list[str]:
        """The ids of a kind, abstract ones only if asked for."""
        if (kind, abstract) not in self._ids:
            found = self._noted(kind)
            self._ids[kind, abstract] = sorted(name for name, path in found.items() if abstract or not files.is_abstract(path))
        return list(self._ids[kind, abstract])

    def aliases(self, kind: str) -> list[tuple[str, str]]:
        """Every other name of a kind, with the id behind it."""
        return [(alias, identifier) for identifier, path in self._noted(kind).items() for alias in files.aliases(path)]

    def resolve(self, kind: str, name: str) -> str:
        """The id behind an id, an alias or a name with an organisation in front.

        Raises
        ------
        UnknownNameError
            Naming the nearest ids and aliases.
        """
        found = self._by_id(kind)
        if name in found:
            return name
        if (kind, name) in self._unknown:
            raise self._unknown[kind, name].with_traceback(None)
        wanted = normal(name)
        by_normal = {normal(identifier): identifier for identifier in found}
        by_alias = {normal(alias): identifier for alias, identifier in self.aliases(kind)}
        for form in dict.fromkeys((wanted, wanted.rpartition("/")[2])):
            identifier = by_normal.get(form) or by_alias.get(form)
            if identifier:
                return identifier
        short = {alias.rpartition("/")[2]: identifier for alias, identifier in by_alias.items()}
        if wanted.rpartition("/")[2] in short:
            return short[wanted.rpartition("/")[2]]
        known = [*self.ids(kind), *by_alias]
        self._unknown[kind, name] = UnknownNameError(kind[:-1], name, dict.fromkeys(known))
        raise self._unknown[kind, name]

    def load(self, kind: str, name: str) -> Spec:
        """A spec by id or alias, with all it inherits and every override.

        Raises
        ------
        UnknownNameError
            Nothing has that name.
        SpecError
            The file or a parent is broken; the message lists every fault.
        """
        if (kind, name) not in self._named:
            self._named[kind, name] = self.load_file(kind, self._by_id(kind)[self.resolve(kind, name)])
        return self._named[kind, name]

    def lineage(self, kind: str, identifier: str) -> list[str]:
        """The id of a spec, of what it extends, and so on to the root; an extended file of the same id appears again."""
        chain: list[Path] = []
        path: Path | None = self._by_id(kind)[identifier]
        while path is not None:
            chain.append(path)
            self._note(path)
            extends = files.read(path).get("extends")
            path = self._parent(kind, path, extends, tuple(chain)) if isinstance(extends, str) and extends else None
        return [item.stem for item in chain]

    def states(self, kind: str, identifier: str, path: str) -> bool:
        """Whether the file of an id itself, or an override of it, says something at a path."""
        if path in self._overrides.get((kind, identifier), {}):
            return True
        self._note(self._by_id(kind)[identifier])
        node: Any = files.read(self._by_id(kind)[identifier])
        for part in path.split("."):
            if isinstance(node, list):  # tiers, by their names
                node = {item.get("name"): item for item in node if isinstance(item, dict)}
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True

    def exchange_rates(self) -> dict[str, float]:
        """Currency per USD of every site, from their dated values."""
        sites = (self.load("sites", identifier) for identifier in self.ids("sites"))
        return {str(site.get("currency")): site.si("exchange_rate") for site in sites}

    def load_file(self, kind: str, path: Path) -> Spec:
        """A spec by its file."""
        path = Path(path)
        if path not in self._loaded:
            spec, faults, _ = self._inherit(kind, path, ())
            if self._base is not None and spec is self._base._inherit(kind, path, ()).spec:
                return self._base.load_file(kind, path)
            if spec.data.get("abstract") is not True:
                found = {where for where, _ in spec.leaves()}
                absent = check.missing(kind, found, spec.data)
                broken = {fault.removeprefix(f"{path}: ").partition(":")[0] for fault in faults}
                faults += [f"{path}: {key}: is missing, expected {_wanted(kind, key)}" for key in absent if key not in broken]
            if faults:
                raise SpecError("\n".join(dict.fromkeys(faults)))
            self._loaded[path] = spec
        return self._loaded[path]

    def override(self, changes: Mapping[str, Any]) -> Library:
        """A library in which some values are others.

        Parameters
        ----------
        changes : mapping
            ``"<id>.<path>"`` to a number in SI units, a text with a unit, or a string, boolean or integer where the spec has one.
            Tiers are named: ``"gb200-nvl72.tiers.scale-up.bandwidth": "1.8 TB/s"``. ``<kind>/`` in front settles ids that two kinds share.

        Raises
        ------
        UnknownNameError
            No such id or path.
        UnitError
            A value of another dimension.
        """
        other = Library.__new__(Library)
        other.folders, other._listings, other._ids, other._unknown = self.folders, self._listings, self._ids, self._unknown
        other._loaded, other._named, other._inherited, other._variants = {}, {}, {}, {}
        other._base, other._stamps = self._base or self, self._stamps
        other._overrides = dict(self._overrides)
        for address, given in changes.items():
            kind, identifier, path = self.address(address)
            leaf = self._new_leaf(kind, identifier, path, address, given)
            other._overrides[kind, identifier] = {**other._overrides.get((kind, identifier), {}), path: leaf}
        return other

    def leaf(self, address: str, given: Any) -> Leaf:
        """What an override of one value would put in its place, checked as `override` does."""
        kind, identifier, path = self.address(address)
        return self._new_leaf(kind, identifier, path, address, given)

    @property
    def changes(self) -> dict[str, Leaf]:
        """Every override, by kind, id and path."""
        return {f"{kind}/{name}.{path}": leaf for (kind, name), paths in self._overrides.items() for path, leaf in paths.items()}

    def variant(self, changes: Mapping[str, Any]) -> Library:
        """`override`, and the last libraries so made are kept: a question that is asked again finds its specs read."""
        if not changes:
            return self
        if any(type(given) not in (str, int, float, bool) for given in changes.values()):
            return self.override(changes)
        key = tuple((address, type(given).__name__, given) for address, given in changes.items())
        if key not in self._variants:
            while len(self._variants) >= _VARIANTS:
                self._variants.pop(next(iter(self._variants)), None)
            self._variants[key] = self.override(changes)
        return self._variants[key]

    def sources(self) -> dict[str, dict[str, Any]]:
        """The bibliography: source key to title, url, date, where, note."""
        return self._sources

    @cached_property
    def _sources(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for folder in self.folders:
            path = folder / "sources.toml"
            self._note(path)
            if path.exists():
                found.update(files.read(path))
        return found

    def _by_id(self, kind: str) -> dict[str, Path]:
        """The file that wins for each id."""
        merged: dict[str, Path] = {}
        for layer in self._layers(kind):
            merged.update(layer)
        return merged

    def _noted(self, kind: str) -> dict[str, Path]:
        """The file that wins for each id, all of which are about to be searched."""
        found = self._by_id(kind)
        for path in found.values():
            self._note(path)
        return found

    def _layers(self, kind: str) -> list[dict[str, Path]]:
        """The files of each folder."""
        if kind not in self._listings:
            schema.keys(kind)
            for folder in self.folders:
                self._note(folder / kind)
            self._listings[kind] = [files.listing(folder, kind) for folder in self.folders]
        return self._listings[kind]

    def _inherit(self, kind: str, path: Path, below: tuple[Path, ...]) -> _Inherited:
        """A spec with its parents' keys beneath its own, and the faults found on the way; the base's where no override changes it."""
        if path not in self._inherited:
            base = None if self._base is None else self._base._inherit(kind, path, below)
            kept = base is not None and not any(key in self._overrides for key in base.ids)
            self._inherited[path] = base if base is not None and kept else self._inherit_anew(kind, path, below)
        return self._inherited[path]

    def _inherit_anew(self, kind: str, path: Path, below: tuple[Path, ...]) -> _Inherited:
        """A spec from its file, its parents and the overrides."""
        self._note(path)
        raw, identifier = files.read(path), path.stem
        parent: dict[str, Any] = {}
        faults: list[str] = []
        ids: frozenset[tuple[str, str]] = frozenset(((kind, identifier),))
        extends = raw.get("extends")
        if isinstance(extends, str) and extends:
            above = self._inherit(kind, self._parent(kind, path, extends, (*below, path)), (*below, path))
            faults, ids = above.faults, ids | above.ids
            parent = {name: item for name, item in above.spec.data.items() if name not in _OWN}
        faults = faults + check.faults_of_data(kind, identifier, raw, path, dict(leaves(parent)))
        data = laid_over(parent, as_values(kind, raw))
        for where, leaf in self._overrides.get((kind, identifier), {}).items():
            data = with_leaf(data, where, leaf)
        return _Inherited(Spec(kind, identifier, path, data), faults, ids)

    def _parent(self, kind: str, path: Path, extends: str, chain: tuple[Path, ...]) -> Path:
        """The file a spec extends: of the same id only in an earlier folder."""
        candidates = [layer[extends] for layer in self._layers(kind) if extends in layer]
        if extends == path.stem:
            candidates = candidates[: candidates.index(path)] if path in candidates else candidates
        if not candidates:
            close = nearest(extends, [name for name in self._by_id(kind) if name != path.stem], 2)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            what = "itself" if extends == path.stem else f"{extends!r}, which is not among the {kind}"
            raise SpecError(f"{path}: extends: {what}{hint}")
        if candidates[-1] in chain:
            names = " -> ".join([*(item.stem for item in chain), extends])
            raise SpecError(f"{path}: extends: goes in a circle: {names}")
        return candidates[-1]

    def address(self, address: str) -> tuple[str, str, str]:
        """Kind, id and path of an override; ids may contain dots, so the longest that exists wins."""
        given, slash, rest = address.partition("/")
        kinds, text = ((given,), rest) if slash and given in schema.KINDS else (schema.KINDS, address)
        parts = text.split(".")
        for count in range(len(parts) - 1, 0, -1):
            head, tail = ".".join(parts[:count]), ".".join(parts[count:])
            for match in (lambda kind, name: name in self._by_id(kind), self._is_name):
                hits = [kind for kind in kinds if match(kind, head)]
                if len(hits) > 1:
                    hits = [kind for kind in hits if self._knows(kind, self.resolve(kind, head), tail)] or hits[:1]
                if len(hits) > 1:
                    raise UsageError(f"{address!r} may be of {' or '.join(hits)}; write '{hits[0]}/{address}'")
                if hits:
                    return hits[0], self.resolve(hits[0], head), tail
        if len(parts) == 1:
            raise UsageError(f"cannot override {address!r}; expected '<id>.<path>', for example 'gb200-nvl72.tiers.scale-up.bandwidth'")
        raise UnknownNameError("spec in override", parts[0], [name for kind in kinds for name in self.ids(kind, abstract=True)])

    def _is_name(self, kind: str, name: str) -> bool:
        """True where a name resolves."""
        try:
            self.resolve(kind, name)
        except UnknownNameError:
            return False
        return True

    def _knows(self, kind: str, identifier: str, path: str) -> bool:
        """True where a spec has a leaf at a path, or might."""
        spec = self.load(kind, identifier)
        found = spec.get(path, None)
        return (found is not None and not isinstance(found, dict)) or key_of(kind, spec, path) is not None

    def _new_leaf(self, kind: str, identifier: str, path: str, address: str, given: Any) -> Leaf:
        """The leaf that an override puts at a path, checked against the schema."""
        spec = self.load(kind, identifier)
        old, key = spec.get(path, None), key_of(kind, spec, path)
        if (old is None and key is None) or isinstance(old, dict):
            known = [where for where, _ in spec.leaves()]
            known += [name for name in schema.keys(kind) if "*" not in name]
            prefix = f"{path}."
            inside = [where for where in known if where.startswith(prefix)][:3]
            if inside:
                raise UsageError(f"{address!r} holds several values; name one, such as {' or '.join(map(repr, inside))}")
            raise UnknownNameError(f"key of {identifier}", path, dict.fromkeys(known))
        if isinstance(given, Value):
            return given
        if isinstance(old, Value) or (key is not None and key.type == "value"):
            return override_value(old, key, given, address, self.exchange_rates)
        return override_plain(old, key, given, address)


def normal(name: str) -> str:
    """A name as it is compared: lower case, spaces and underscores as hyphens.

    Examples
    --------
    >>> normal("DeepSeek_R1 0528")
    'deepseek-r1-0528'
    """
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def _wanted(kind: str, path: str) -> str:
    """What a missing key should hold."""
    key = schema.keys(kind)[schema.general(path)]
    return f"a value in {key.unit}" if key.type == "value" else schema.allowed(key)
