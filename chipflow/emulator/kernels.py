# pyright: standard, reportCallIssue=false, reportUndefinedVariable=false
# ruff: noqa: F403, F405  # the names of all columns
"""The chip model as numba kernels: sections 2 to 5 of it, for a whole network of cores.

An event updates rows of neurons that lie side by side, whatever the stride: states are [y][x][f], weights [c][ky][tap][f], see
`chipflow.emulator.layout`. A clock tick is an update of the whole map, with biases in place of weights.

Events travel in lists, elements of which are a neuron and the input event that caused its spike. A list goes by one of its routes
through a whole core, and the spikes that this makes are the next list. Where streams merge further on, that would not be depth first:
there a list is passed on one element at a time, by all its routes. What is under way is on a stack of lists (breadth first: in a
queue), so that a call can stop at almost any point and the next one goes on.

Indices are unsigned: numba needs no code for negative ones then. It makes a float of int64 with uint64, hence the conversions.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numba import carray  # pyright: ignore[reportPrivateImportUsage]  # documented so

from chipflow.emulator.records import *
from chipflow.emulator.vectors import address, bits_set, lowest_bit, update_bounded, update_bounded_wide, update_general

jit = nb.njit(error_model="numpy", forceinline=True)  # no division by zero is possible: no code to report it
u64, i64, i16 = nb.uint64, nb.int64, nb.int16
ONE = np.uint64(1)
NOWHERE = np.uint64(2**64 - 1)


def _array(name) -> Any:
    """How the kernels get at an array: `net` holds the address and the length of each, in the order of ARRAYS."""
    at = 2 * list(ARRAYS).index(name)
    dtype, columns = ARRAYS[name]
    if columns == 1:
        return jit(lambda net: carray(address(net[at]), (net[at + 1],), dtype))
    return jit(lambda net: carray(address(net[at]), (net[at + 1], columns), dtype))


cores_of = _array("cores")
routes_of = _array("routes")
ports_of = _array("ports")
arrivals_of = _array("arrivals")
amounts_of = _array("amounts")
counts_of = _array("counts")
alive_of = _array("alive")
probes_of = _array("probes")
states_of = _array("states")
totals_of = _array("totals")
load_of = _array("load")
readout_of = _array("readout")
options_of = _array("options")
progress_of = _array("progress")
general_of = _array("general")
stack_of = _array("stack")
elements_of = _array("elements")
jobs_of = _array("jobs")
masks_of = _array("masks")
bases_of = _array("bases")
queue_of = _array("queue")
queue_rank_of = _array("queue_rank")
reports_of = _array("reports")
report_t_of = _array("report_t")
report_rank_of = _array("report_rank")
probed_of = _array("probed")
periods_of = _array("periods")
input_f_of = _array("input_f")
input_y_of = _array("input_y")
input_x_of = _array("input_x")
input_t_of = _array("input_t")
input_port_of = _array("input_port")


@nb.njit(error_model="numpy")
def _bounded_jobs(core, net, count, end):
    """Section 2, steps 1 to 3, for a core of which no state can leave its range, so that an amount of 0 needs no care.

    Args:
        count: how many of the jobs there are to do.
        end: of the core's list, to which spikes are appended.

    Returns:
        (new end, how many states were raised to the lower bound).
    """
    low, high, keep, states_at = i16(core[LOW]), i16(core[HIGH]), i16(core[KEEP]), u64(core[STATES_AT])
    row, step = u64(core[WIDTH] * core[FEATURES]), u64(core[ROW_TAPS])
    states, amounts, masks, bases, jobs = states_of(net), amounts_of(net), masks_of(net), bases_of(net), jobs_of(net)
    n_raised = u64(0)
    for n in range(count):
        job = jobs[u64(n)]
        first, at, extent, cause = u64(job[JOB_FIRST]), u64(job[JOB_AT]), u64(job[JOB_EXTENT]), u64(job[JOB_CAUSE])
        blocks, any_fired = u64(0), u64(0)
        if extent <= u64(LANES):
            lanes = i16(extent)
            for _ in range(job[JOB_ROWS]):
                fired, raised = update_bounded(states, states_at + first, amounts, at, lanes, low, high, keep)
                blocks = _keep(masks, bases, blocks, fired, cause | first)
                n_raised += bits_set(raised)
                any_fired |= fired
                first += row
                at -= step
        else:
            for _ in range(job[JOB_ROWS]):
                offset = u64(0)
                while offset + u64(WIDE_LANES) <= extent:
                    here = first + offset
                    fired, raised = update_bounded_wide(states, states_at + here, amounts, at + offset, None, low, high, keep)
                    blocks = _keep(masks, bases, blocks, fired, cause | here)
                    n_raised += bits_set(raised)
                    any_fired |= fired
                    offset += u64(WIDE_LANES)
                here, lanes = first + offset, i16(extent - offset)
                if offset + u64(LANES) < extent:
                    fired, raised = update_bounded_wide(states, states_at + here, amounts, at + offset, lanes, low, high, keep)
                    blocks = _keep(masks, bases, blocks, fired, cause | here)
                    n_raised += bits_set(raised)
                    any_fired |= fired
                elif offset < extent:
                    fired, raised = update_bounded(states, states_at + here, amounts, at + offset, lanes, low, high, keep)
                    blocks = _keep(masks, bases, blocks, fired, cause | here)
                    n_raised += bits_set(raised)
                    any_fired |= fired
                first += row
                at -= step
        if any_fired:
            end = _collect(net, end, blocks)
    return end, n_raised


@nb.njit(error_model="numpy")
def _general_jobs(core, rank, net, count, end, step, absent, total):
    """`_bounded_jobs` for any states; also for killed neurons, and for traced ones.

    Args:
        step: how much lower the amounts of the next row begin.
        absent: the amount that is no synapse.
        total: the column of the totals that counts synapses.

    Returns:
        (new end, status).
    """
    low, high, keep, states_at = i16(core[LOW]), i16(core[HIGH]), i16(core[KEEP]), u64(core[STATES_AT])
    row, totals = u64(core[WIDTH] * core[FEATURES]), totals_of(net)[rank]
    reported = u64(0) if low > STATE_MIN else u64(0xFFFFFFFF)
    for n in range(count):
        job = jobs_of(net)[u64(n)]
        first, at, extent, cause = u64(job[JOB_FIRST]), u64(job[JOB_AT]), u64(job[JOB_EXTENT]), u64(job[JOB_CAUSE])
        blocks = u64(0)
        for _ in range(job[JOB_ROWS]):
            offset = u64(0)
            while offset < extent:
                here, lanes = first + offset, i16(min(extent - offset, u64(LANES)))
                fired, raised, cut, synapses = update_general(
                    states_of(net), alive_of(net), states_at + here, amounts_of(net), at + offset, absent, lanes, low, high, keep
                )
                totals[LOWER] += i64(bits_set(raised))
                totals[UPPER] += i64(bits_set(cut))
                totals[total] += i64(bits_set(synapses))
                clipped = cut | (raised & reported)
                if clipped and options_of(net)[STRICT]:
                    neuron = lowest_bit(clipped)
                    progress_of(net)[CULPRIT_RANK], progress_of(net)[CULPRIT] = i64(rank), i64(cause | (here + neuron))
                    return end, HIGH_CLIPPED if (cut >> neuron) & ONE else LOW_CLIPPED
                blocks = _keep(masks_of(net), bases_of(net), blocks, fired, cause | here)
                offset += u64(LANES)
            first += row
            at -= step
        begin = end
        end = _collect(net, end, blocks)
        if core[END_PROBE] > core[FIRST_PROBE]:
            _probe(core, net, job, step, absent, begin, end)
    return end, DONE


@jit
def _keep(masks, bases, blocks, fired, element):
    """Write down which neurons of a block fired, and the element of its first; returns the number of blocks."""
    masks[blocks] = fired
    bases[blocks] = element
    return blocks + ONE


@jit
def _collect(net, end, blocks):
    """Append which neurons fired, in their order. The first two of a block need no branch, which would often be mispredicted."""
    elements, masks, bases = elements_of(net), masks_of(net), bases_of(net)
    for b in range(blocks):
        fired, base = masks[u64(b)], bases[u64(b)]
        elements[end] = base + lowest_bit(fired)
        end += u64(fired != u64(0))
        fired &= fired - ONE
        elements[end] = base + lowest_bit(fired)
        end += u64(fired != u64(0))
        fired &= fired - ONE
        while fired:
            elements[end] = base + lowest_bit(fired)
            end += ONE
            fired &= fired - ONE
    return end


@jit
def _time(element, net):
    """Of the input event, or clock tick, that caused it."""
    cause = element >> u64(CAUSE_AT)
    return progress_of(net)[TICK_TIME] if cause == u64(BY_TICK) else input_t_of(net)[cause]


@jit
def _probe(core, net, job, step, absent, begin, end):
    """Write down the states of the traced neurons that were updated."""
    progress, row, states_at = progress_of(net), core[WIDTH] * core[FEATURES], core[STATES_AT]
    for probe in range(core[FIRST_PROBE], core[END_PROBE]):
        neuron = probes_of(net)[u64(probe)]
        offset = neuron - job[JOB_FIRST]
        y = offset // row if job[JOB_ROWS] > 1 else 0  # a tick is one row, the whole map
        tap = offset - y * row
        if offset < 0 or y >= job[JOB_ROWS] or tap >= job[JOB_EXTENT] or not alive_of(net)[u64(states_at + neuron)]:
            continue
        if amounts_of(net)[u64(job[JOB_AT] - y * i64(step) + tap)] == absent:
            continue
        element, spiked = u64(job[JOB_CAUSE] | neuron), 0
        for i in range(begin, end):
            spiked |= elements_of(net)[u64(i)] == element
        line = probed_of(net)[u64(progress[PROBED])]
        line[PROBE], line[PROBE_TIME] = probe, _time(element, net)
        line[PROBE_STATE], line[PROBE_SPIKED] = i64(states_of(net)[u64(states_at + neuron)]), spiked
        progress[PROBED] += 1


@jit
def _leave(core, rank, end, net):
    """Decimator, monitor (section 3), then onto the stack."""
    totals, progress, elements = totals_of(net)[rank], progress_of(net), elements_of(net)
    begin = u64(core[LIST_AT])
    totals[SPIKES] += i64(end - begin)
    if core[DECIMATE] > 1:
        end = _decimate(core, totals, elements, begin, end)
    totals[SPIKES_OUT] += i64(end - begin)
    if core[MONITORED]:
        count = u64(progress[REPORTS])
        for i in range(begin, end):
            element = elements[u64(i)]
            reports_of(net)[count] = element
            report_t_of(net)[count] = _time(element, net)
            report_rank_of(net)[count] = i64(rank)
            count += ONE
        progress[REPORTS] = i64(count)
    if end > begin and core[END_ROUTE] > core[FIRST_ROUTE]:
        _push(i64(rank), i64(begin), i64(end), core[FIRST_ROUTE], core[END_ROUTE], core[SEQUENTIAL], net)


@jit
def _decimate(core, totals, elements, begin, end):
    """Keep every n-th spike (section 3, step 1)."""
    kept = begin
    for i in range(begin, end):
        totals[PHASE] += 1
        if totals[PHASE] >= core[DECIMATE]:
            totals[PHASE] = 0
            elements[kept] = elements[u64(i)]
            kept += ONE
    return kept


@jit
def _push(rank, begin, end, first_route, end_route, sequential, net):
    frame = stack_of(net)[u64(progress_of(net)[DEPTH])]
    frame[FRAME_RANK], frame[FRAME_BEGIN], frame[FRAME_NEXT], frame[FRAME_LAST] = rank, begin, begin, end
    frame[FRAME_ROUTE], frame[FRAME_FIRST], frame[FRAME_END] = first_route, first_route, end_route
    frame[FRAME_SEQUENTIAL] = sequential | options_of(net)[STEPWISE]
    progress_of(net)[DEPTH] += 1


@jit
def _place(rank, element, route, net):
    """(feature, pixel) of an element of a core's list, or of that of the input (rank INPUT), in the map of a route; NOWHERE is outside it."""
    if rank == INPUT:
        n = element >> u64(CAUSE_AT)
        y, x = u64(i64(input_y_of(net)[n])), u64(i64(input_x_of(net)[n]))
        height, width = u64(route[MAP_HEIGHT]), u64(route[MAP_WIDTH])
        return u64(i64(input_f_of(net)[n])), y * width + x if y < height and x < width else NOWHERE
    core, neuron = cores_of(net)[u64(rank)], element & u64(NEURON_MASK)
    pixel = (neuron * u64(core[RECIPROCAL])) >> u64(RECIPROCAL_BITS)
    return neuron - pixel * u64(core[FEATURES]), pixel


@jit
def _element(rank, at, net):
    """An element of a list; that of the input holds nothing but its causes."""
    return u64(at) << u64(CAUSE_AT) if rank == INPUT else elements_of(net)[u64(at)]


@nb.njit(error_model="numpy")
def _prepare(rank, begin, last, route, net):
    """Elements of a list at the core at the end of a route: what each makes the core do, as jobs; dropped ones are counted.

    Returns:
        The number of jobs.
    """
    target = u64(route[TARGET])
    core, totals = cores_of(net)[target], totals_of(net)[target]
    shift, channels, arrivals_at = u64(route[SHIFT]), u64(route[CHANNELS]), u64(route[ARRIVALS_AT])
    arrivals, counts, jobs, counts_at = arrivals_of(net), counts_of(net), jobs_of(net), u64(core[COUNTS_AT])
    counts_row, weights_at, channel_taps = u64(core[COUNTS_ROW]), u64(core[WEIGHTS_AT]), u64(core[CHANNEL_TAPS])
    outside, remainder, synops, updates, count = i64(0), i64(0), i64(0), i64(0), u64(0)
    for i in range(begin, last):
        element = _element(rank, i, net)
        f, pixel = _place(rank, element, route, net)
        c = f + shift
        if c >= channels or pixel == NOWHERE:
            outside += 1
            continue
        arrival = arrivals[arrivals_at + pixel]
        rows = i64(arrival[ROWS])
        if rows < 0:
            if rows == OUTSIDE:
                outside += 1
            else:
                remainder += 1
            continue
        synops += rows * i64(arrival[EXTENT])
        updates += i64(counts[counts_at + c * counts_row + u64(arrival[CLASS])])
        job = jobs[count]
        job[JOB_FIRST], job[JOB_EXTENT], job[JOB_ROWS] = arrival[FIRST], arrival[EXTENT], rows
        job[JOB_AT], job[JOB_CAUSE] = i64(weights_at + c * channel_taps + u64(arrival[TAP])), i64(element & u64(CAUSE_MASK))
        count += ONE
    totals[EVENTS_IN] += last - begin
    totals[HANDLED] += i64(count)
    totals[DROPPED_OUTSIDE] += outside
    totals[DROPPED_REMAINDER] += remainder
    totals[SYNOPS] += synops
    totals[UPDATES] += i64(0) if general_of(net)[target] else updates
    progress_of(net)[SPENT] += synops + (last - begin) * COST_OF_A_START
    return count


@jit
def _pass_on(rank, begin, last, route, net):
    """Elements of a list, from `begin` up to `last`, through the core at the end of a route (section 2).

    Returns:
        (where it stopped, because the core's own list has no room for more, or else `last`; status).
    """
    target = u64(route[TARGET])
    core = cores_of(net)[target]
    list_at, room, most = u64(core[LIST_AT]), core[LIST_ROOM], core[MOST_SPIKES]
    end, at, status = list_at, begin, DONE
    while at < last and i64(end - list_at) + most <= room and status == DONE:
        upto = min(last, at + MOST_JOBS, at + (room - i64(end - list_at)) // most)
        count = _prepare(rank, at, upto, route, net)
        if general_of(net)[target]:
            end, status = _general_jobs(core, target, net, count, end, u64(core[ROW_TAPS]), i16(core[ABSENT]), u64(UPDATES))
        else:
            end, raised = _bounded_jobs(core, net, count, end)
            totals_of(net)[target][LOWER] += i64(raised)
        at = upto
    if end > list_at:
        _leave(core, target, end, net)
    return at, status


@jit
def _has_room(core, events, net):
    """Whether all that so many updates can report fits."""
    progress = progress_of(net)
    if core[MONITORED] and progress[REPORTS] + core[LIST_ROOM] > i64(reports_of(net).size):
        return False
    return progress[PROBED] + events * (core[END_PROBE] - core[FIRST_PROBE]) <= i64(probed_of(net).shape[0])


@jit
def _read_out(rank, begin, last, route, net):
    """Elements of a list at the readout block (section 7), or at one that is off. Returns the status."""
    readout, progress = readout_of(net), progress_of(net)
    readout[READOUT_IN] += last - begin
    if route[TARGET] == TO_NOWHERE:
        return DONE
    for i in range(begin, last):
        element = _element(rank, i, net)
        f = _place(rank, element, route, net)[0]
        number = u64(arrivals_of(net)[u64(route[ARRIVALS_AT]) + f][CLASS]) if f < u64(route[CHANNELS]) else u64(0)
        if number:
            readout[number] = min(readout[number] + 1, options_of(net)[MOST_COUNT])
            readout[READOUT_COUNTED] += 1
            continue
        readout[READOUT_WITHOUT_CLASS] += 1
        if options_of(net)[STRICT]:
            progress[CULPRIT_RANK], progress[CULPRIT] = rank, i64(element)
            return NO_CLASS
    return DONE


@jit
def _deliver(frame, net):
    """Pass on what can go at once of a list: one element by one route if it is sequential, or else all by one route. Returns the status."""
    route = routes_of(net)[u64(frame[FRAME_ROUTE])]
    rank, begin, last = frame[FRAME_RANK], frame[FRAME_NEXT], frame[FRAME_LAST]
    if frame[FRAME_SEQUENTIAL]:
        last = begin + 1
    if route[TARGET] < 0:
        stopped, status = last, _read_out(rank, begin, last, route, net)
    else:
        core = cores_of(net)[u64(route[TARGET])]
        if core[END_PROBE] > core[FIRST_PROBE]:
            last = min(last, begin + PROBE_BATCH)
        if not _has_room(core, last - begin, net):
            return FULL
        stopped, status = _pass_on(rank, begin, last, route, net)
    if frame[FRAME_SEQUENTIAL]:
        frame[FRAME_ROUTE] += 1
        if frame[FRAME_ROUTE] == frame[FRAME_END]:
            frame[FRAME_ROUTE] = frame[FRAME_FIRST]
            frame[FRAME_NEXT] += 1
    else:
        frame[FRAME_NEXT] = stopped
        if stopped == frame[FRAME_LAST]:
            frame[FRAME_NEXT] = frame[FRAME_BEGIN]
            frame[FRAME_ROUTE] += 1
    return status


@jit
def _begin_window(t, net):
    """Close the window of the load estimate that ends before t (section 9)."""
    progress = progress_of(net)
    for rank in range(u64(cores_of(net).shape[0])):
        load, totals = load_of(net)[u64(rank)], totals_of(net)[u64(rank)]
        now = totals[UPDATES] + totals[LEAK_UPDATES]
        if now - load[AT_START] > load[WORST]:
            load[WORST], load[WORST_WINDOW] = now - load[AT_START], progress[WINDOW_NUMBER]
        load[AT_START] = now
    progress[WINDOW_NUMBER] = t // options_of(net)[WINDOW]
    progress[WINDOW_END] = (progress[WINDOW_NUMBER] + 1) * options_of(net)[WINDOW]


@jit
def _act(net):
    """The part of the next core in the tick under way (section 5). Returns the status."""
    progress = progress_of(net)
    rank = u64(progress[ACTING])
    core = cores_of(net)[rank]
    if core[LEAKS]:
        if not _has_room(core, 1, net):
            return FULL
        job = jobs_of(net)[u64(0)]
        job[JOB_FIRST], job[JOB_AT], job[JOB_EXTENT], job[JOB_ROWS] = 0, core[BIASES_AT], core[NEURONS], 1
        job[JOB_CAUSE] = BY_TICK << CAUSE_AT
        if general_of(net)[rank]:
            end, status = _general_jobs(core, rank, net, u64(1), u64(core[LIST_AT]), u64(0), i16(0), u64(LEAK_UPDATES))
            if status != DONE:
                return status
        else:
            end, raised = _bounded_jobs(core, net, u64(1), u64(core[LIST_AT]))
            totals_of(net)[rank][LOWER] += i64(raised)
            totals_of(net)[rank][LEAK_UPDATES] += core[LEAKING]
        _leave(core, rank, end, net)
        progress[SPENT] += core[NEURONS]
    progress[ACTING] += 1
    progress[SPENT] += COST_OF_A_START
    return DONE


@jit
def _close_period(net):
    """The readout block's part in a tick, after all cores."""
    if options_of(net)[READS_OUT]:
        line = periods_of(net)[u64(progress_of(net)[PERIODS])]
        for number in range(N_CLASSES):
            line[u64(number)] = readout_of(net)[u64(number)]
            readout_of(net)[u64(number)] = 0
        progress_of(net)[PERIODS] += 1


@jit
def _begin_next(net):
    """The next tick, or the next events that can go together: of one port, with no tick or new window of the load between them.

    Returns:
        (whether there are any, status).
    """
    options, progress, t = options_of(net), progress_of(net), input_t_of(net)
    event, end = progress[POSITION], options[N_INPUTS]
    before = options[END] if event == end else t[u64(event)]
    tick = (progress[TICKS] + 1) * options[PERIOD]
    if options[PERIOD] and tick <= before:
        if options[READS_OUT] and progress[PERIODS] == i64(periods_of(net).shape[0]):
            return True, FULL
        if tick >= progress[WINDOW_END]:
            _begin_window(tick, net)
        progress[TICK_TIME] = tick
        progress[TICKS] += 1
        progress[ACTING] = 0
        return True, DONE
    if event == end:
        return False, DONE
    if before >= progress[WINDOW_END]:
        _begin_window(before, net)
    until = min(progress[WINDOW_END], tick) if options[PERIOD] else progress[WINDOW_END]
    number = input_port_of(net)[u64(event)]
    port = ports_of(net)[u64(number)]
    most = event + 1 if port[PORT_SEQUENTIAL] or options[STEPWISE] else min(end, event + BATCH)
    last = event + 1
    while last < most and t[u64(last)] < until and input_port_of(net)[u64(last)] == number:
        last += 1
    progress[POSITION] = last
    if port[PORT_END] > port[PORT_FIRST]:
        _push(INPUT, event, last, port[PORT_FIRST], port[PORT_END], port[PORT_SEQUENTIAL], net)
    return True, DONE


@jit
def _is_passed_on(frame):
    """Whether nothing is left of a list."""
    if frame[FRAME_SEQUENTIAL]:
        return frame[FRAME_NEXT] == frame[FRAME_LAST]
    return frame[FRAME_ROUTE] == frame[FRAME_END]


@jit
def _enqueue(net):
    """Move the list on top of the stack to the end of the queue; False if there is no room."""
    progress, frame = progress_of(net), stack_of(net)[u64(progress_of(net)[DEPTH] - 1)]
    tail, count = progress[TAIL], frame[FRAME_LAST] - frame[FRAME_BEGIN]
    if tail + count > i64(queue_of(net).size):
        return False
    for i in range(count):
        queue_of(net)[u64(tail + i)] = elements_of(net)[u64(frame[FRAME_BEGIN] + i)]
        queue_rank_of(net)[u64(tail + i)] = frame[FRAME_RANK]
    progress[TAIL] = tail + count
    progress[DEPTH] -= 1
    return True


@jit
def _dequeue(net):
    """The first of the queue onto the stack, as a list of its own at the place of its core's lists."""
    progress = progress_of(net)
    head = u64(progress[HEAD])
    rank = queue_rank_of(net)[head]
    core = cores_of(net)[u64(rank)]
    elements_of(net)[u64(core[LIST_AT])] = queue_of(net)[head]
    progress[HEAD] += 1
    if progress[HEAD] == progress[TAIL]:
        progress[HEAD] = progress[TAIL] = 0
    _push(rank, core[LIST_AT], core[LIST_AT] + 1, core[FIRST_ROUTE], core[END_ROUTE], 1, net)


@jit
def advance(net):
    """Handle what is under way, then ticks and input events up to the last event, and ticks up to the end. Returns the status.

    Breadth first, the stack holds one list at a time, and what comes of it goes to the queue.
    """
    options, progress, cores = options_of(net), progress_of(net), i64(cores_of(net).shape[0])
    while progress[SPENT] <= options[BUDGET]:
        status = DONE
        if options[BREADTH_FIRST] and progress[DEPTH] > 1:
            if not _enqueue(net):
                return GROW
        elif progress[DEPTH]:
            frame = stack_of(net)[u64(progress[DEPTH] - 1)]
            if _is_passed_on(frame):
                progress[DEPTH] -= 1
            else:
                status = _deliver(frame, net)
        elif progress[HEAD] < progress[TAIL]:
            _dequeue(net)
        elif progress[ACTING] < cores:
            status = _act(net)
        else:
            if progress[ACTING] == cores:
                _close_period(net)
                progress[ACTING] += 1
            some, status = _begin_next(net)
            if not some:
                return DONE
        if status != DONE:
            return status
    return PAUSED


@nb.cfunc(nb.int64(nb.types.CPointer(nb.int64)), error_model="numpy")
def advance_c(net):
    """`advance` for callers without numba."""
    return advance(net)
