"""Files of older schema versions: each step turns the contents of one version into those of the next.

A file's hash was made by the rules of its own version, so that it is judged by them, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from hwconfig.arrays import decode_array, encode_array, narrowed
from hwconfig.chip_files import get_chip
from hwconfig.errors import ConfigFileError
from hwconfig.hashing import canonical_hash

Contents = dict[str, Any]


def migrated(contents: Contents, version: int, newest: int) -> tuple[Contents, str]:
    """The contents as the newest version has them, and the hash that the rules of their own version give ("" for the newest)."""
    if version == newest:
        return contents, ""
    try:
        older_hash = _HASHES[version](contents)
        for step in range(version, newest):
            contents = _STEPS[step](contents)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, MemoryError) as error:
        detail = str(error) if isinstance(error, ConfigFileError) else f"{type(error).__name__}: {error}"
        raise ConfigFileError(f"not a valid configuration of schema version {version}: {detail}") from None
    return contents, older_hash


# --- version 1: no event filter, factory settings, kill bits, layer names or suppressed rules; provenance was a plain table ---

_ARRAYS_1: dict[str, type[np.integer[Any]]] = {"weights": np.int8, "biases": np.int16, "neurons_initial_value": np.int16}
_FIELDS_1 = {"chip", "cnn_layers", "dvs_layer", "readout", "provenance"}
_CORE_1 = {
    *_ARRAYS_1, "dimensions", "threshold_high", "threshold_low", "return_to_zero", "leak_enable", "leak_internal_slow_clk_enable",
    "monitor_enable", "destinations", "input_congestion_balancer_enable", "output_decimator_enable", "output_decimator_interval",
}  # fmt: skip


def _hash_1(contents: Contents) -> str:
    """Of arrays it took the packed text, always of the narrowest dtype, whatever the file's spelling."""
    cores = {int(key): core | _packed(core) for key, core in contents.get("cnn_layers", {}).items()}
    counted = {name: value for name, value in contents.items() if name != "provenance"}
    return canonical_hash(counted | {"cnn_layers": cores})


def _packed(core: Contents) -> Contents:
    """As it stands in the file wherever it can be: another zlib would pack the same values into another text."""
    packed = {name: encode_array(narrowed(_array(core[name]), dtype)) for name, dtype in _ARRAYS_1.items() if name in core}
    kept = {
        name: core[name] for name, new in packed.items() if isinstance(core[name], dict) and core[name]["dtype"] == new["dtype"]
    }
    return packed | kept


def _array(value: Any) -> Any:
    return decode_array(cast("Contents", value)) if isinstance(value, dict) else np.asarray(value)


def _from_1(contents: Contents) -> Contents:
    _refuse_unknown(contents, _FIELDS_1, "the file")
    for key, core in contents.get("cnn_layers", {}).items():
        _refuse_unknown(core, _CORE_1, f"core {key}")
    provenance = dict(contents.get("provenance", {}))
    version = provenance.pop("chipflow", None)
    sensor = contents.get("dvs_layer", {})
    return contents | {
        "chip": _chip_from_1(contents["chip"]),
        "dvs_layer": sensor | {"destinations": [_sensor_target(target) for target in sensor.get("destinations", [])]},
        "provenance": {"tool": "" if version is None else f"chipflow {version}", "options": provenance},
    }


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise ConfigFileError(f"{where} has fields that its schema version does not know: {', '.join(unknown)}")


def _sensor_target(destination: Contents) -> Contents:
    """Version 1 had room for pooling and shift, which the sensor does not do."""
    if destination["pooling"] != 1 or destination["feature_shift"] != 0:
        raise ConfigFileError(
            "dvs_layer: a destination of the sensor neither pools nor shifts: set pooling 1 and feature_shift 0"
        )
    return {name: destination[name] for name in ("layer", "enable")}


def _chip_from_1(chip: Any) -> Any:
    """A chip that is written out in full gets from the Speck2f what version 1 did not say."""
    if isinstance(chip, str):
        return chip
    own, model = cast("Contents", chip), get_chip("speck2f").model_dump(mode="json")
    filled = {name: model[name] | own[name] for name in ("limits", "sensor", "readout")}
    cores = [{name: value for name, value in core.items() if name != "parallel"} for core in own["cores"]]
    changed = {
        "devices": [{"name": name} for name in own["devices"]],
        "cores": cores,
        "parallel_cores": [core["id"] for core in own["cores"] if core["parallel"]],
    }
    return {name: model[name] for name in ("synops_source", "features", "errata")} | own | filled | changed


_HASHES: dict[int, Callable[[Contents], str]] = {1: _hash_1}
_STEPS: dict[int, Callable[[Contents], Contents]] = {1: _from_1}
