//! README's two minutes, key by key: its table is read, and played on the demo as whoever follows it would.

use std::fs;

use crate::common::eventually;
use crate::demo::Place;
use crate::terminal::Cockpit;

/// The whole run at ten times life takes a tenth of this.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(150);

/// A row of the table: when, and the keys to press.
struct Row {
    when: String,
    keys: Vec<String>,
}

fn table() -> Vec<Row> {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, tour) = readme.split_once("\n## Two minutes\n").expect("the tour is there");
    let (tour, _) = tour.split_once("\n## ").unwrap();
    let rows = tour.lines().filter(|line| line.starts_with('|')).skip(2);
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        Row { when: cells[1].to_owned(), keys: quoted(cells[2]) }
    })
    .collect()
}

/// Presses `key` until `words` are there: what came too soon is not taken, and the screen says so.
async fn until(cockpit: &Cockpit, key: &str, words: &str) {
    for _ in 0..20 {
        // A key that reaches people counts only on what has been on screen for a moment: so presses one who reads.
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        cockpit.press(if key == "Enter" { "\r" } else { key });
        for _ in 0..40 {
            if cockpit.screen().contains(words) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    panic!("{key} does not lead to `{words}`:\n{}", cockpit.screen());
}

/// Every gate of the run, each by the keys of the two rows that tell how.
async fn answers_gates(cockpit: &Cockpit, open: &str, confirm: &str) -> usize {
    let mut answered = 0;
    let begun = std::time::Instant::now();
    loop {
        let screen = cockpit.screen();
        assert!(begun.elapsed() < PATIENCE, "it does not go on:\n{screen}");
        if screen.contains("close INC-") {
            return answered;
        }
        if screen.contains("answer the gate of ") {
            until(cockpit, open, "guards").await;
            cockpit.press(confirm);
            let phrase = eventually("it is confirmed, or a name is asked for", async || {
                let screen = cockpit.screen();
                let asked = screen
                    .split_once("to go ahead: ")
                    .and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned));
                (asked.is_some() || !screen.contains("guards")).then_some(asked)
            });
            if let Some(phrase) = phrase.await {
                cockpit.press(&format!("{phrase}\r"));
            }
            answered += 1;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_goes_as_it_is_told() {
    let rows = table();
    let keys = |at: usize| rows[at].keys.iter().map(String::as_str).collect::<Vec<_>>();
    let all: Vec<(&str, Vec<&str>)> = (0..rows.len()).map(|at| (rows[at].when.as_str(), keys(at))).collect();
    let expected = [
        ("us-east-1 turns `✗ DOWN`", vec!["D", "Enter", "Enter"]),
        ("", vec!["A", "y"]),
        ("", vec!["r", "Enter"]),
        ("a step says `◆ GATE`", vec!["Enter"]),
        ("", vec!["c"]),
        ("something is odd", vec!["H"]),
        ("", vec!["b"]),
        ("it is over", vec!["C"]),
    ];
    assert_eq!(all, expected, "the table changed: this test plays it, so change what it plays");

    let place = Place::new();
    let mut cockpit = place.open("tour", "demo --speed 10");
    cockpit.shows("us-east-1 DOWN").await;
    for (key, words) in rows[0].keys.iter().zip(["declare an incident", "Enter declare", "INC-"]) {
        until(&cockpit, key, words).await;
    }
    until(&cockpit, "A", "arm this cockpit?").await;
    until(&cockpit, "y", "ARMED").await;
    for (key, words) in rows[2].keys.iter().zip(["rehearse", "answer the gate of"]) {
        until(&cockpit, key, words).await;
    }
    assert!(answers_gates(&cockpit, &rows[3].keys[0], &rows[4].keys[0]).await >= 2);
    // Odd or not: HOLD is on for as long as nobody releases it, and the commands by hand are there meanwhile.
    until(&cockpit, &rows[5].keys[0], "HOLD").await;
    until(&cockpit, &rows[6].keys[0], "by hand").await;
    cockpit.press("\x1b");
    until(&cockpit, &rows[7].keys[0], "close the incident").await;
    cockpit.press("\x1b");
    cockpit.press("q");
    cockpit.left(0).await;
}
