"""The checks of run.sh, in order. The first one that fails ends the run."""

import os, pathlib, re, shutil, subprocess, sys, tempfile, tomllib

ROOT = pathlib.Path(sys.argv[1])
FILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "jobs" / "README.md").read_text()
ARGUMENT, COMMIT = "CAMPAIGN_ETL_COMMIT", "0123456789ab"


def main():
    check("hadolint finds nothing", not lint(FILE), lint(FILE))
    for right, wrong in (("USER 10001:10001", "USER root"), ("bookworm-slim\n", "latest\n"), ("WORKDIR /tmp", "WORKDIR tmp")):
        check(f"it would find {wrong.strip()}", right in FILE and lint(FILE.replace(right, wrong)), wrong)
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    rust = re.search(r"^FROM rust:([0-9.]+)-\S+ AS build$", FILE, re.M)
    check("Rust has the version of Cargo.toml", rust and rust[1] == cargo["package"]["rust-version"], rust)
    check("the profile exists", "dist" in cargo["profile"] and "--locked --profile dist" in FILE, FILE)
    tag = f"campaign-etl:{cargo['package']['version']}"
    pod = (ROOT / "jobs" / "kubernetes" / "cronjob.yaml").read_text()
    check("the image is named as in jobs/kubernetes", tag in FILE and f"image: {tag}\n" in pod, tag)
    user = re.findall(r"^USER (\d+):(\d+)$", FILE, re.M)
    check("the user is that of the pod", user == [tuple(re.findall(r"runAs(?:User|Group): (\d+)", pod))], user)
    the_commit_is_given_to_the_build()
    the_spill_folder_belongs_to_the_user(user)
    only_x86_has_a_processor()
    with tempfile.TemporaryDirectory() as folder:
        context = pathlib.Path(folder) / "src"
        copied = copy_context(context)
        check("the context is small", copied < 5_000_000, copied)
        profile = os.environ.get("PROFILE", "dist")
        command = ["cargo", "build", "--locked", "--profile", profile, "--bin", "campaign-etl"]
        target = os.environ.get("CARGO_TARGET_DIR", f"{folder}/target")
        done = subprocess.run(command, cwd=context, env={**os.environ, "CARGO_TARGET_DIR": target, ARGUMENT: COMMIT}, capture_output=True, text=True)
        check("the build command works in the context", done.returncode == 0, done.stderr[-3000:])
        built = pathlib.Path(target) / profile / "campaign-etl"
        version = subprocess.run([built, "--version"], capture_output=True, text=True).stdout
        expected = f"{tag.replace(':', ' ')} (commit {COMMIT}, features: none)"
        check("the program starts and names its commit", version.strip() == expected, version)
    print("all checks passed")


def lint(text):
    done = subprocess.run(["hadolint", "-"], input=text, capture_output=True, text=True)
    return done.stdout or (done.stderr if done.returncode else "")


def the_commit_is_given_to_the_build():
    """An argument of the stage that builds is a variable of the commands after it."""
    stage = FILE[FILE.index(" AS build\n") : FILE.index("\nFROM debian")]
    argument = stage.find(f"\nARG {ARGUMENT}\n")
    check("the build stage takes the commit", 0 <= argument < stage.index("cargo build"), stage)
    given = f"docker build --build-arg {ARGUMENT}="
    check("the documented commands give it", given in PAGE and given in FILE, PAGE)


def the_spill_folder_belongs_to_the_user(user):
    mounted = re.search(r"--volume (\S+):/tmp ", PAGE)[1]
    created = "install -d -o {} -g {} ".format(*user[0]) + mounted + "\n"
    check("the mounted /tmp is created for the user of the image", created in PAGE, PAGE)


def only_x86_has_a_processor():
    """The flags of .cargo/config.toml do not reach a build for arm64."""
    targets = tomllib.loads((ROOT / ".cargo" / "config.toml").read_text())
    check("only builds for x86-64 name a processor", list(targets) == ["target"] and list(targets["target"]) == ['cfg(target_arch = "x86_64")'], targets)


def copy_context(to):
    """The files that .dockerignore lets through: all patterns but the first bring a file or folder back."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    check("all files but the named ones are ignored", patterns[0] == "*" and all(p.startswith("!") for p in patterns[1:]), patterns)
    for pattern in patterns[1:]:
        source, place = ROOT / pattern[1:], to / pattern[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
    return sum(path.stat().st_size for path in to.rglob("*") if path.is_file())


def check(name, holds, found):
    if not holds:
        sys.exit(f"FAILED: {name}\nfound: {found}")
    print("ok:", name)


if __name__ == "__main__":
    main()
