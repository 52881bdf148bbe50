"""Lint the Open Data Contracts under docs/contracts/, and test results and exports with them.

The exports of the sample have a few bad rows on purpose, on 2 to 6 March: these days must fail, and name the rule.
"""
import json, pathlib, subprocess, sys

PROGRAM, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])


def main():
    for name in ["results", "exports"]:
        file = ROOT / f"docs/contracts/{name}.odcs.json"
        ended = datacontract("lint", str(file))
        assert ended.returncode == 0, ended.stdout
    exports = str(ROOT / "sample_data/exports")
    passed = test("results", "results/{model}/dt=*/part-0.parquet")
    assert passed.returncode == 0, passed.stdout[-3000:]
    passed = test("exports", exports + "/{model}/dt=2026-03-1*/*.parquet")
    assert passed.returncode == 0, passed.stdout[-3000:]
    for day, column in [("02", "primary"), ("04", "buyer_id")]:
        failed = test("exports", exports + f"/{{model}}/dt=2026-03-{day}/*.parquet")
        assert failed.returncode == 1 and column in failed.stdout, (day, failed.stdout[-3000:])
    print("contracts: lint and test agree")


def test(name, path):
    contract = json.loads((ROOT / f"docs/contracts/{name}.odcs.json").read_text())
    contract["servers"][0]["path"] = path
    copy = pathlib.Path(f"{name}.odcs.json")
    copy.write_text(json.dumps(contract))
    return datacontract("test", str(copy))


def datacontract(*arguments):
    return subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


if __name__ == "__main__":
    main()
