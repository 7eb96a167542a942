"""What the kernels read and write; apart from them, because numba takes long to import.

All of it is flat arrays of numbers: see ARRAYS. A core goes by its rank, its place in the order in which cores act at a clock tick.
The kernels know a neuron by its number in the core's map, [y][x][f].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

STATE_MIN, STATE_MAX = -32768, 32767
LANES = 32
WIDE_LANES = 2 * LANES  # neurons that one step of the kernels updates, in short rows and in long ones
SPARE = WIDE_LANES  # elements behind all amounts, and behind the states of each core, that such a step may read
RECIPROCAL_BITS = 40  # n // features is n * RECIPROCAL >> 40, exact where n * features < 2**40

# Columns of cores. Names with AT are offsets into the flat arrays.
(FEATURES, RECIPROCAL, WIDTH, HEIGHT, NEURONS, CHANNEL_TAPS, ROW_TAPS) = range(7)
(STATES_AT, WEIGHTS_AT, BIASES_AT, COUNTS_AT, COUNTS_ROW, LIST_AT, LIST_ROOM, MOST_SPIKES) = range(7, 15)
(LOW, HIGH, KEEP, ABSENT, DECIMATE, MONITORED, LEAKS, LEAKING) = range(15, 23)
(FIRST_ROUTE, END_ROUTE, FIRST_PROBE, END_PROBE, SEQUENTIAL) = range(23, 28)
N_CORE = SEQUENTIAL + 1

# Columns of ports: the routes of an input port, and whether its events go one by one
PORT_FIRST, PORT_END, PORT_SEQUENTIAL = range(3)
N_PORT = 3

# Columns of routes. ARRIVALS_AT: of the first pixel of the map that the route comes from, or of the readout block's classes.
TARGET, SHIFT, CHANNELS, ARRIVALS_AT, MAP_HEIGHT, MAP_WIDTH = range(6)
N_ROUTE = 6
TO_READOUT, TO_NOWHERE = -1, -2  # targets that are no rank

# Columns of arrivals, one line for each pixel of a route's map: what an event there touches. First neuron, offset of its weight, rows of
# neurons, neurons in each, and column in the table of counts. For the readout block, one line for each feature: its class, 0 for none.
FIRST, TAP, ROWS, EXTENT, CLASS = range(5)
N_ARRIVAL = 8  # a power of two, so that a line does not lie across two lines of the cache
OUTSIDE, REMAINDER = -1, -2  # in place of ROWS: why the event is dropped

# Columns of totals. PHASE: the decimator's count since the last spike that passed
(EVENTS_IN, DROPPED_OUTSIDE, DROPPED_REMAINDER, HANDLED, SYNOPS, UPDATES, LEAK_UPDATES) = range(7)
(SPIKES, SPIKES_OUT, LOWER, UPPER, PHASE) = range(7, 12)
N_TOTALS = PHASE + 1

# Columns of load: updates and leak updates when the window began; the most in any window, and its number
AT_START, WORST, WORST_WINDOW = range(3)
N_LOAD = 3

# Elements of readout, after the counts of classes 0 (unused) to 15
N_CLASSES = 16
READOUT_IN, READOUT_COUNTED, READOUT_WITHOUT_CLASS = range(N_CLASSES, N_CLASSES + 3)
N_READOUT = READOUT_WITHOUT_CLASS + 1

# Elements of options. END: ticks go on up to this time. STEPWISE: every list goes one by one. BUDGET: synaptic operations before a pause.
N_INPUTS, PERIOD, END, WINDOW, STRICT, STEPWISE, BREADTH_FIRST, READS_OUT, MOST_COUNT, BUDGET = range(10)
N_OPTIONS = BUDGET + 1

# Elements of progress. ACTING: the next rank at the tick under way, or the number of cores where none is.
(POSITION, TICKS, ACTING, TICK_TIME, WINDOW_NUMBER, WINDOW_END, SPENT) = range(7)
(DEPTH, HEAD, TAIL, REPORTS, PROBED, PERIODS, CULPRIT_RANK, CULPRIT) = range(7, 15)
N_PROGRESS = CULPRIT + 1

# Elements of a list: a neuron's number, and above it the input event that caused its spike
CAUSE_AT, NEURON_MASK, CAUSE_MASK = 32, 0xFFFFFFFF, 0xFFFFFFFF_00000000
BY_TICK = 0x7FFFFFFF  # the cause where it was a clock tick

# Columns of stack. A list goes from FRAME_BEGIN to FRAME_LAST in elements (that of the input: in the input events), and is passed on
# from FRAME_NEXT by the route FRAME_ROUTE; by all from FRAME_FIRST to FRAME_END, one element at a time if it is sequential.
FRAME_RANK, FRAME_BEGIN, FRAME_NEXT, FRAME_LAST, FRAME_ROUTE, FRAME_FIRST, FRAME_END, FRAME_SEQUENTIAL = range(8)
N_FRAME = 8
INPUT = -1  # the rank of input events

# Columns of jobs: amounts to be added to rows of neurons. First neuron of the first row, index of its amount, neurons in a row.
JOB_FIRST, JOB_AT, JOB_EXTENT, JOB_ROWS, JOB_CAUSE = range(5)
N_JOB = 5

COST_OF_A_START = 300  # of an event, or a core's part in a tick, in synaptic operations; for the BUDGET

BATCH = 4096  # most input events in a list
MOST_JOBS = 64
PROBE_BATCH = 64  # most events that a core with traced neurons gets at a time

# Columns of probed
PROBE, PROBE_TIME, PROBE_STATE, PROBE_SPIKED = range(4)
N_PROBED = 4

DONE, PAUSED, FULL, GROW, LOW_CLIPPED, HIGH_CLIPPED, NO_CLASS = range(7)
"""What a call ends with. FULL: take out what is reported; GROW: the queue is too small; both, and PAUSED: call again."""


class Kind(NamedTuple):
    """Element type and columns of an array that the kernels use; columns 1: it has one axis."""

    dtype: type[np.generic]
    columns: int = 1


CONSTANTS = {
    "cores": Kind(np.int64, N_CORE),
    "routes": Kind(np.int64, N_ROUTE),
    "ports": Kind(np.int64, N_PORT),
    "arrivals": Kind(np.int32, N_ARRIVAL),
    "amounts": Kind(np.int16),  # of each core, weights [c][ky][tap][f] and biases [y][x][f]; SPARE elements more
    "counts": Kind(np.int32),  # of each core, input feature, class of the pixel: how many taps are synapses
    "alive": Kind(np.int16),  # like the states: -1, or 0 for a killed neuron
    "probes": Kind(np.int64),  # numbers of the traced neurons, core by core
}
"""The network."""

MEMORY = {
    "states": Kind(np.int16),  # of each core, [y][x][f] and SPARE elements more, always 0
    "totals": Kind(np.int64, N_TOTALS),
    "load": Kind(np.int64, N_LOAD),
    "readout": Kind(np.int64),
}
"""What it remembers from one input to the next."""

EXCHANGE = {
    "options": Kind(np.int64),
    "progress": Kind(np.int64),
    "general": Kind(np.int64),  # of each core: 0 where it is proven that no state can leave its range
    "stack": Kind(np.int64, N_FRAME),
    "elements": Kind(np.uint64),  # room for one list of each core
    "jobs": Kind(np.int64, N_JOB),
    "masks": Kind(np.uint64),  # which neurons of a block fired
    "bases": Kind(np.uint64),  # the element of its first neuron
    "queue": Kind(np.uint64),
    "queue_rank": Kind(np.int64),
    "reports": Kind(np.uint64),  # elements
    "report_t": Kind(np.int64),
    "report_rank": Kind(np.int64),
    "probed": Kind(np.int64, N_PROBED),
    "periods": Kind(np.int64, N_CLASSES),  # spikes of each class in the period that a tick closes
}
"""Work space and answers."""

INPUTS = {
    "input_f": Kind(np.int16),
    "input_y": Kind(np.int16),
    "input_x": Kind(np.int16),
    "input_t": Kind(np.int64),
    "input_port": Kind(np.int16),
}
"""Events from outside."""

ARRAYS = CONSTANTS | MEMORY | EXCHANGE | INPUTS
