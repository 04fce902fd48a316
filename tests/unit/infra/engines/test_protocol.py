"""Values that cross a process border are small and picklable."""

import pickle

from orograph.infra.engines.protocol import Event, Outcome, Receipt, Status
from orograph.pipeline.errors import SourceCorrupt
from tests.support.worlds import make_job


def test_receipts_and_outcomes_survive_pickling():
    job = make_job()
    receipt = Receipt(job.id, job.run_key, Status.DONE, job.manifest_key, seconds={"regrid": 1.0})
    assert len(pickle.dumps(receipt)) < 1000
    for value in (receipt, Outcome(job, Status.DONE, receipt), Event(job.id, "regrid", 0.5)):
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes
    failed = pickle.loads(pickle.dumps(Outcome(job, Status.FAILED, error=SourceCorrupt("bad", tile=job.id))))  # noqa: S301
    assert (failed.error.message, failed.error.tile, str(failed.status)) == ("bad", job.id, "failed")
