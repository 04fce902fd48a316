import inspect
import pickle

import pytest

from orograph.pipeline import errors

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.OrographError)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_survives_pickling_with_its_context(cls):
    error = cls("bad", tile="E4300N2650", source="nl", stage="regrid", remedy="mend it")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(back) is cls
    assert back.to_dict() == error.to_dict()
    assert str(back) == "bad [tile E4300N2650, source nl, stage regrid] — mend it"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_stands_in_the_drawn_tree(cls):
    assert cls.__name__ in (errors.__doc__ or "")
    assert cls.__doc__


def test_context_is_filled_in_but_not_overwritten():
    error = errors.SourceCorrupt("bad", source="nl").at(tile="E4300N2650", source="other")
    assert (error.tile, error.source) == ("E4300N2650", "nl")
