"""Relative paths of an uploaded catalogue keep pointing to this machine's files."""

import yaml

from orograph.infra.cluster.uploaded_files import anchored_text


def test_paths_of_a_catalogue_become_absolute(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("sources:\n- id: a\n  data: {kind: files, hrefs: [dtm/*.tif, 's3://b/x.tif']}\n")
    (source,) = yaml.safe_load(anchored_text(path))["sources"]
    assert source["data"]["hrefs"] == [str(tmp_path / "dtm/*.tif"), "s3://b/x.tif"]


def test_other_files_stay_as_they_are(tmp_path):
    for name, text in (
        ("a.geojson", '{"href": "x"}'),
        ("b.yaml", "- a: [x]\n"),
        ("c.yaml", "a: ["),
        ("d.yaml", "sources:\n- id: a\n"),
    ):
        (tmp_path / name).write_text(text)
        assert anchored_text(tmp_path / name) == text.encode()
