"""Progress reports reach the listener of the block, and only while it lasts."""

import threading

from orograph.pipeline.core.progress import listening, report, tracked


def test_reports_reach_the_innermost_listener_only_inside_its_block():
    outer, inner = [], []
    report("before", 1, 2)
    with listening(lambda *args: outer.append(args)):
        report("a", 0, 2)
        with listening(lambda *args: inner.append(args)):
            report("b", 1, 2)
        report("c", 2, 2)
    report("after", 1, 2)
    assert outer == [("a", 0, 2), ("c", 2, 2)]
    assert inner == [("b", 1, 2)]


def test_each_finished_item_is_reported_after_its_work():
    seen = []
    with listening(lambda step, done, due: seen.append((step, done, due))):
        seen.extend(tracked("xy", "letters"))
    assert seen == [("letters", 0, 2), "x", ("letters", 1, 2), "y", ("letters", 2, 2)]


def test_the_length_of_an_iterator_is_given_or_unknown():
    seen = []
    with listening(lambda _step, _done, due: seen.append(due)):
        assert list(tracked(iter([1]), "a", due=5)) == [1]
        assert list(tracked(iter([1]), "a")) == [1]
        assert list(tracked([], "a")) == []
    assert seen == [5, 5, 0, 0, 0]


def test_another_thread_has_no_listener():
    seen = []
    with listening(lambda *args: seen.append(args)):
        thread = threading.Thread(target=report, args=("a", 1, 1))
        thread.start()
        thread.join()
    assert seen == []
