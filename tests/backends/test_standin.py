"""The stand-in is strict: what the vendor does not document can be neither read nor set, and types are checked."""

from __future__ import annotations

import pytest

from tests.backends.standin import standin


def test_names_that_are_not_documented_do_not_exist() -> None:
    with standin() as samna:
        board = samna.device.open_device("Speck2fDevKit:0")
        configuration = samna.speck2f.configuration.SpeckConfiguration()
        for thing in (
            board,
            board.get_model(),
            board.get_stop_watch(),
            board.get_io_module(),
            samna.speck2f.event.Spike(),
            configuration,
        ):
            with pytest.raises(AttributeError):
                _ = thing.colour
            with pytest.raises(AttributeError):
                thing.colour = 1
        for where in (samna, samna.device, samna.graph, samna.speck2f, samna.speck2f.event):
            with pytest.raises(AttributeError):
                _ = where.colour


def test_types_are_checked() -> None:
    with standin() as samna:
        spike = samna.speck2f.event.Spike
        assert spike(layer=3, x=1).layer == 3
        for wrong in (1.0, -1, 256, "1"):
            with pytest.raises((TypeError, ValueError)):
                spike(x=wrong)
        source = samna.BasicSourceNode_speck2f_event_input_event()
        with pytest.raises(RuntimeError, match="no running graph"):
            source.write([])
        board = samna.device.open_device("Speck2fDevKit:0")
        graph = samna.graph.EventFilterGraph()
        with pytest.raises(TypeError, match="do not fit"):
            graph.sequential([samna.BasicSourceNode_speck2e_event_speck2e_input_event(), board.get_model().get_sink_node()])
        graph.sequential([source, board.get_model().get_sink_node()])
        graph.start()
        for wrong in ([1], (spike(),), [samna.speck2e.event.Spike()], [samna.speck2f.event.NeuronValue()]):
            with pytest.raises(TypeError):
                source.write(wrong)
