"""Modules of sinabs as nodes, recognised by where they come from and what they hold: sinabs is not imported.

What is not exactly the same on a core is refused with the layer, the field and what to use. Two cases deserve a word:

- `spike_fn`: MultiSpike, floor(v / threshold) spikes a time step, is what this graph's time-stepped reading is. SingleSpike and
  MaxSpike(n) limit the spikes of a time step. A core knows no time steps: its neurons decide at every event, so a neuron may fire
  as often as events arrive, and no configuration limits that. They are refused; a network trained with them is checked with
  MultiSpike in their place before it is deployed. MaxSpike() without a number is MultiSpike.
- states (`v_mem`) that a model holds from earlier runs are not read: a program starts from zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chipflow.frontends.sinabs_sensor import crop, cropping, flip, sensor
from chipflow.frontends.torch_modules import Converter, array, refusal, sum_pool
from chipflow.frontends.torch_modules import convert as convert_torch
from chipflow.ir.nodes import Add, ChannelShift, Iaf, Node, Shape

KNOWN = "known of sinabs are IAF, IAFSqueeze, SumPool2d, Merge, ChannelShift, and DVSLayer and its parts"
USE_IAF = "use IAFSqueeze"
USE_SPIKING_MODEL = "compile the model that it was made from"


def is_from_sinabs(module: Any) -> bool:
    """Whether the module's class, or one that it derives from, is of sinabs."""
    return any(_of_sinabs(kind) for kind in type(module).__mro__)


def is_network(module: Any) -> bool:
    """Whether it is what `sinabs.from_model` returns; its `spiking_model` is the network."""
    return any(_of_sinabs(kind) and kind.__name__ == "Network" for kind in type(module).__mro__)


def own_input_shape(model: Any) -> Shape | None:
    """(2, y, x), if the model holds a DVSLayer, which knows the sensor's size; None otherwise."""
    for module in model.modules():
        if is_from_sinabs(module) and type(module).__name__ == "DVSLayer":
            return (2, *(int(side) for side in module.input_shape[-2:]))
    return None


def convert(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node | None:
    """The node of one module of sinabs, None where it does nothing to one sample's time step.

    Args:
        name: the node's.
        module: of sinabs.
        shapes: of what it reads.

    Raises:
        UnsupportedModelError: a module that no core can do, or with parameters that none can have.
    """
    for kind in type(module).__mro__:
        if not _of_sinabs(kind):
            continue
        if kind.__name__ in _CONVERTERS:
            return _CONVERTERS[kind.__name__](name, module, shapes)
        if kind.__name__ in _ADVICE:
            raise refusal(name, f"{type(module).__name__} {_ADVICE[kind.__name__](module)}")
    raise refusal(name, f"{type(module).__name__} of sinabs is not supported ({KNOWN})")


def _of_sinabs(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "sinabs"


def _iaf(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    problems = list(_neuron_problems(module))
    if problems:
        raise refusal(name, "; ".join(problems))
    low = None if module.min_v_mem is None else float(array(module.min_v_mem).flat[0])
    threshold = float(array(module.spike_threshold).flat[0])
    return Iaf(name, threshold, low, type(module.reset_fn).__name__ == "MembraneReset")


def _neuron_problems(module: Any) -> Iterator[str]:
    """What keeps an IAF from being a core's neuron."""
    for field in ("spike_threshold", "min_v_mem"):
        if len(values := _values(module, field)) > 1:
            yield f"{field} has values from {values[0]} to {values[-1]}: a core has one for all its neurons, use one number"
    thresholds = _values(module, "spike_threshold")
    if thresholds and not thresholds[0] > 0:
        yield f"spike_threshold is {thresholds[0]}, it must be above 0"
    lowest = _values(module, "min_v_mem")
    if lowest and not lowest[-1] <= 0:
        yield f"min_v_mem is {lowest[-1]}, it must be at most 0, or None"
    yield from _spike_problems(getattr(module, "spike_fn", None))
    yield from _reset_problems(getattr(module, "reset_fn", None), thresholds)
    if getattr(module, "tau_syn", None) is not None:
        yield f"tau_syn is {array(module.tau_syn).flat[0]:g}: a core's synapses have no current that decays, use tau_syn=None"
    if getattr(module, "norm_input", False):
        yield "norm_input is True: use norm_input=False"


def _values(module: Any, field: str) -> list[float]:
    """The different values of a parameter, from the lowest; none if it is None."""
    value = getattr(module, field, None)
    return [] if value is None else sorted({round(float(number), 6) for number in array(value).flat})


def _spike_problems(spike_fn: Any) -> Iterator[str]:
    found = getattr(spike_fn, "__name__", type(spike_fn).__name__)
    most = getattr(spike_fn, "max_num_spikes_per_bin", None)
    if spike_fn is None:
        yield "spike_fn is None, a neuron that emits its state: a core's neurons emit spikes, use MultiSpike"
    elif found == "SingleSpike" or (found == "MaxSpike" and most is not None):
        limit = "one spike" if most is None else f"{most} spikes"
        yield (
            f"spike_fn is {found}, at most {limit} a time step: a core has no time steps, its neurons decide at every event; use MultiSpike, "
            "and check how the model does with it"
        )
    elif found not in ("MultiSpike", "MaxSpike"):
        yield f"spike_fn is {found}: use MultiSpike"


def _reset_problems(reset_fn: Any, thresholds: list[float]) -> Iterator[str]:
    found = type(reset_fn).__name__
    if found == "MembraneSubtract":
        value = reset_fn.subtract_value
        if value is not None and [round(float(value), 6)] != thresholds:
            yield f"reset_fn subtracts {value} and spike_threshold is {thresholds}: a core subtracts the threshold, use subtract_value=None"
    elif found == "MembraneReset":
        if reset_fn.reset_value != 0:
            yield f"reset_fn resets to {reset_fn.reset_value}: a core resets to 0, use reset_value=0"
    else:
        yield f"reset_fn is {found}: use MembraneSubtract or MembraneReset"


def _channel_shift(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    if module.channel_axis != -3 or len(shapes[0]) == 1:
        raise refusal(
            name, f"channel_axis is {module.channel_axis} on {shapes[0]}: only features of a map shift, channel_axis=-3"
        )
    return ChannelShift(name, int(module.channel_shift))


def _repeat(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node | None:
    """A layer on every time step: what it is anyway."""
    inner = module.module
    return convert(name, inner, shapes) if is_from_sinabs(inner) else convert_torch(name, inner, shapes)


def _nothing(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node | None:
    return None


_CONVERTERS: dict[str, Converter] = {
    "IAF": _iaf,
    "IAFSqueeze": _iaf,
    "SumPool2d": sum_pool,
    "Merge": lambda name, module, shapes: Add(name),
    "ChannelShift": _channel_shift,
    "DVSLayer": sensor,
    "Crop2d": crop,
    "Cropping2dLayer": cropping,
    "FlipDims": flip,
    "FlattenTime": _nothing,
    "UnflattenTime": _nothing,
    "Repeat": _repeat,
}


def _recurrent(module: Any) -> str:
    return f"has rec_connect ({type(module.rec_connect).__name__}): a core cannot send to itself, {USE_IAF}"


def _leaky(module: Any) -> str:
    tau = module.tau_mem_calculated
    shown = "" if tau is None else f"has tau_mem={array(tau).flat[0]:g}: "
    return f"{shown}a core's neurons do not leak, {USE_IAF}"


def _text(text: str) -> Callable[[Any], str]:
    return lambda module: text


_ADVICE: dict[str, Callable[[Any], str]] = {
    "IAFRecurrent": _recurrent,
    "LIFRecurrent": _recurrent,
    "ALIFRecurrent": _recurrent,
    "LIF": _leaky,
    "ALIF": _text(f"has a threshold that adapts (adapt_scale): a core's threshold is fixed, {USE_IAF}"),
    "ExpLeak": _text(f"has tau_mem and no spikes: {USE_IAF}"),
    "NeuromorphicReLU": _text(
        "is for training: use nn.ReLU, or convert the network with sinabs.from_model and compile its spiking_model"
    ),
    "QuantizeLayer": _text("rounds values: leave it out, spikes are whole numbers"),
    "SpikingMaxPooling2dLayer": _text("takes maxima: the chip sums when it pools, use SumPool2d or AvgPool2d"),
    "Img2SpikeLayer": _text("makes spikes from images: leave it out, and give the program events"),
    "Sig2SpikeLayer": _text("makes spikes from signals: leave it out, and give the program events"),
    "DynapcnnNetwork": _text(f"is quantised for the backend of sinabs: {USE_SPIKING_MODEL}"),
    "DynapcnnLayer": _text(f"is quantised for the backend of sinabs: {USE_SPIKING_MODEL}"),
}
