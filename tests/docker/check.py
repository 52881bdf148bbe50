"""The checks of run.sh, in order. The first one that fails ends the run."""

import os, pathlib, re, shutil, subprocess, sys, tempfile, tomllib

ROOT = pathlib.Path(sys.argv[1])
FILE = (ROOT / "Dockerfile").read_text()


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
    only_x86_has_a_processor()
    with tempfile.TemporaryDirectory() as folder:
        context = pathlib.Path(folder) / "src"
        copied = copy_context(context)
        check("the context is small", copied < 5_000_000, copied)
        profile = os.environ.get("PROFILE", "dist")
        command = ["cargo", "build", "--locked", "--profile", profile, "--bin", "campaign-etl"]
        target = os.environ.get("CARGO_TARGET_DIR", f"{folder}/target")
        done = subprocess.run(command, cwd=context, env={**os.environ, "CARGO_TARGET_DIR": target}, capture_output=True, text=True)
        check("the build command works in the context", done.returncode == 0, done.stderr[-3000:])
        built = pathlib.Path(target) / profile / "campaign-etl"
        version = subprocess.run([built, "--version"], capture_output=True, text=True).stdout
        check("the program starts", version.strip() == tag.replace(":", " "), version)
    print("all checks passed")


def lint(text):
    done = subprocess.run(["hadolint", "-"], input=text, capture_output=True, text=True)
    return done.stdout or (done.stderr if done.returncode else "")


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
