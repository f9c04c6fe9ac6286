#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# JSON reports of every verdict fit docs/report.schema.json, and docs/report.md names every member of theirs.
set -eu
python3 -c 'import jsonschema' 2>/dev/null || { echo "python3 with jsonschema is not there"; exit 77; }
program=$top_builddir/tests/unit/report/sample_report
for how in right fail incomplete empty; do
    "$program" json "$how" | python3 -c '
import json, sys, jsonschema
report = json.load(sys.stdin)
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(report)
text = open(sys.argv[2]).read()
def members(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "rounds": # a fact of the sample
                yield name
            yield from members(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from members(inner)
missing = {name for name in members(report) if "`%s`" % name not in text}
assert not missing, "docs/report.md does not name %s" % sorted(missing)
' "$top_srcdir/docs/report.schema.json" "$top_srcdir/docs/report.md"
done
