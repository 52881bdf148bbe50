//! Several processes at once, and holders of the lease that are paused and come back.

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::kill::{Desk, scene};
use crate::scene::{DAYS, Objects, is_mixed, lasting, on_its_way};
use crate::stores::{Folder, Kind, kinds};

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([format!("-{signal}"), child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits until a condition holds; false if it does not within 30 seconds.
fn wait_until(condition: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if condition() {
            return true;
        }
        sleep(Duration::from_millis(1));
    }
    false
}

/// The results after an undisturbed run.
fn undisturbed(desk: &Desk, kind: Kind, before: &Objects, runtime: &Runtime) -> Objects {
    let results = Folder::new(kind, runtime);
    results.fill(before);
    assert_eq!(
        desk.etl(&format!("run --day {}", DAYS[2]), &results).code,
        0
    );
    results.objects()
}

#[test]
fn of_eight_runs_at_once_at_least_one_succeeds_and_the_others_exit_0_or_75() {
    let runtime = Runtime::new().unwrap();
    for kind in kinds() {
        let desk = Desk::new();
        let before = scene(&desk, kind, &runtime);
        let after = undisturbed(&desk, kind, &before, &runtime);
        for of_different_days in [false, true] {
            let results = Folder::new(kind, &runtime);
            results.fill(&before);
            let mut children: Vec<Child> = Vec::new();
            for i in 0..8 {
                let day = if of_different_days {
                    DAYS[i % 3]
                } else {
                    DAYS[2]
                };
                children.push(desk.start(&format!("run --day {day}"), &results));
            }
            let codes: Vec<i32> = children
                .into_iter()
                .map(|mut c| c.wait().unwrap().code().unwrap())
                .collect();
            assert!(
                codes.contains(&0) && codes.iter().all(|code| [0, 75].contains(code)),
                "{codes:?}"
            );
            let found = results.objects();
            assert_eq!(on_its_way(&found), None);
            for day in DAYS {
                assert!(!is_mixed(&found, &before, day, false));
            }
            let last = desk.etl_when_free(&format!("run --day {}", DAYS[2]), &results);
            assert_eq!(last.code, 0, "{}", last.stderr);
            assert!(lasting(&results.objects()) == lasting(&after), "{kind:?}");
            println!("{kind:?}, different days {of_different_days}: exit codes {codes:?}");
        }
    }
}

/// The number of the newest record under `_runs/commit_log`.
fn newest_record(results: &Folder) -> Option<String> {
    Some(
        results
            .store
            .list_all("_runs/commit_log")
            .unwrap()
            .last()?
            .name
            .clone(),
    )
}

#[test]
fn a_holder_that_was_paused_cannot_publish_after_another_took_over() {
    let runtime = Runtime::new().unwrap();
    for kind in kinds() {
        let desk = Desk::new();
        let before = scene(&desk, kind, &runtime);
        let after = undisturbed(&desk, kind, &before, &runtime);
        let mut fenced = 0;
        // Paused at various moments after it took the lease.
        for pause in [0, 2, 5, 10, 20, 40, 80] {
            let results = Folder::new(kind, &runtime);
            results.fill(&before);
            let last_before = newest_record(&results);
            let mut holder = desk.command(&format!("run --day {}", DAYS[2]), &results);
            let holder = holder
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let pid = holder.id();
            assert!(
                wait_until(|| newest_record(&results) != last_before),
                "it takes the lease"
            );
            sleep(Duration::from_millis(pause));
            signal(&holder, "STOP");
            let status = desk.etl("status", &results);
            let other = desk.etl_when_free(&format!("run --day {}", DAYS[2]), &results);
            assert_eq!(other.code, 0, "{}", other.stderr);
            let published = results.objects();
            assert!(
                lasting(&published) == lasting(&after),
                "{kind:?}, paused after {pause} ms"
            );
            signal(&holder, "CONT");
            let ended = holder.wait_with_output().unwrap();
            let code = ended.status.code().unwrap();
            let stderr = String::from_utf8(ended.stderr).unwrap();
            // The holder had finished, or it was too late: then it says so and changes nothing.
            assert!([0, 75].contains(&code), "{code}: {stderr}");
            if code == 75 {
                fenced += 1;
                assert!(stderr.contains("another run took over"), "{stderr}");
                assert_eq!(status.json["holder"]["pid"], pid);
            }
            let found = results.objects();
            assert!(
                lasting(&found) == lasting(&published),
                "{kind:?}, paused after {pause} ms"
            );
            let records =
                |objects: &Objects| objects.keys().filter(|p| p.starts_with("_runs/")).count();
            assert_eq!(
                records(&found),
                records(&published),
                "no record and no manifest came after"
            );
            assert_eq!(
                desk.etl(&format!("run --day {}", DAYS[2]), &results).code,
                0
            );
            assert!(lasting(&results.objects()) == lasting(&after));
        }
        println!("{kind:?}: {fenced} of 7 paused holders came too late");
        assert!(fenced > 0, "no holder was paused in time");
    }
}
