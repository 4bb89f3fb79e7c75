//! README's two minutes, key by key: its table is read, and every key of it is pressed on the real demo, in its order. What the table says
//! that happens has to be on the screen before the next key is pressed.

use std::fs;
use std::time::Duration;

use crate::common::{eventually, one_crowd};
use crate::demo::Place;
use crate::terminal::Cockpit;

/// Nobody presses two keys in the time that tells a paste from hands.
const HANDS: Duration = Duration::from_millis(60);
/// Only a bound for a test that fails.
const PATIENCE: Duration = Duration::from_secs(280);

/// What says that a key came too soon, and is to be pressed again.
const AGAIN: [&str; 2] = ["press it again", "press Enter again"];

/// A row of the table: when, and the keys to press.
struct Row {
    when: String,
    keys: Vec<String>,
}

fn table() -> Vec<Row> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
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

/// Somebody who follows the table.
struct Hands {
    cockpit: Cockpit,
}

impl Hands {
    fn screen(&self) -> String {
        self.cockpit.screen()
    }

    /// The first row, which says how things stand.
    fn first(&self) -> String {
        self.screen().lines().next().unwrap_or_default().to_owned()
    }

    async fn press(&self, key: &str) {
        tokio::time::sleep(HANDS).await;
        self.cockpit.press(match key {
            "Enter" => "\r",
            "Esc" => "\x1b",
            key => key,
        });
    }

    /// Waits for what `found` finds on the screen.
    async fn see<T>(&self, what: &str, mut found: impl FnMut(&str) -> Option<T>) -> T {
        let seen = eventually(what, async || found(&self.screen()));
        match tokio::time::timeout(PATIENCE, seen).await {
            Ok(it) => it,
            Err(_) => panic!("{what}: it never came\n{}", self.screen()),
        }
    }

    /// Presses a key, and waits for what it leads to. What came too soon says so, and is pressed again.
    async fn leads<T>(&self, key: &str, what: &str, mut found: impl FnMut(&str) -> Option<T>) -> T {
        loop {
            self.press(key).await;
            let told = format!("{key} leads to {what}");
            let seen = self.see(&told, |screen| match found(screen) {
                Some(it) => Some(Some(it)),
                None => AGAIN.iter().any(|words| screen.contains(words)).then_some(None),
            });
            if let Some(it) = seen.await {
                return it;
            }
        }
    }

    async fn leads_to(&self, key: &str, words: &[&str]) {
        self.leads(key, &words.join(", "), |screen| words.iter().all(|it| screen.contains(it)).then_some(())).await;
    }

    /// Presses a key that takes something off the screen.
    async fn ends(&self, key: &str, words: &str) {
        self.leads(key, &format!("the end of {words}"), |screen| (!screen.contains(words)).then_some(())).await;
    }

    /// Types into a field, until it is there to be read.
    async fn types(&self, text: &str) {
        self.press(text).await;
        self.see("what is typed", |screen| screen.contains(text).then_some(())).await;
    }
}

/// The word that follows.
fn after<'s>(screen: &'s str, words: &str) -> Option<&'s str> {
    screen.split_once(words)?.1.split_whitespace().next()
}

const GATE: &str = "answer the gate of ";

/// Answers every gate of the run by the keys of the two rows that tell how; returns what the cards said, and what the forms did in which a
/// name had to be typed.
async fn answers_gates(hands: &Hands, open: &str, confirm: &str) -> (String, String) {
    let (mut cards, mut forms) = (String::new(), String::new());
    loop {
        let step = hands.see("a gate, or the end of the run", |screen| {
            assert!(!screen.contains("see what blocks") && !screen.contains("which failed"), "{screen}");
            let over = screen.contains("then close INC-");
            over.then_some(None).or_else(|| after(screen, GATE).map(|step| Some(step.to_owned())))
        });
        let Some(step) = step.await else { return (cards, forms) };
        let title = format!("╭ {step} · ");
        let card =
            |screen: &str| screen.lines().map(str::trim_start).any(|it| it.starts_with("╭ ") && it.contains(" · "));
        hands.leads(open, "a card", |screen| card(screen).then_some(())).await;
        let shown = hands.screen();
        if !shown.contains(&title) || !shown.contains("GATE, ") {
            // It went on while it was looked at: this is the card of what is next.
            hands.leads("Esc", "no card", |screen| (!card(screen)).then_some(())).await;
            continue;
        }
        cards += &hands.screen();
        let phrase = hands.leads(confirm, "a name that is asked for, or the end of the card", |screen| {
            let asked = after(screen, "to go ahead: ").map(|phrase| Some(phrase.to_owned()));
            asked.or_else(|| (!screen.contains(&title)).then_some(None))
        });
        if let Some(phrase) = phrase.await {
            forms += &hands.screen();
            hands.press(&phrase).await;
            hands.see("the name is typed", |screen| (!screen.contains("type exactly: ")).then_some(())).await;
            hands.ends("Enter", "to go ahead: ").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_goes_as_it_is_told() {
    let rows = table();
    let told: Vec<(&str, Vec<&str>)> =
        rows.iter().map(|row| (row.when.as_str(), row.keys.iter().map(String::as_str).collect())).collect();
    let [(_, declare), (_, arm), (_, run), (gate, open), (_, confirm), (odd, hold), (_, by_hand), (over, close)] =
        &told[..]
    else {
        panic!("the table has other rows: this test plays it, so change what it plays\n{told:#?}")
    };
    assert_eq!((*gate, *odd, *over), ("a step says `◆ GATE`", "something is odd", "it is over"));

    let _crowd = one_crowd().await;
    let place = Place::new();
    let mut hands = Hands { cockpit: place.open("tour", "demo --speed 3") };
    hands.see("the region is down", |it| it.contains("declare an incident: us-east-1 is down").then_some(())).await;
    assert!(hands.screen().contains("✗ DOWN"), "{}", hands.screen());
    assert!(hands.screen().contains("rule met in ") || hands.screen().contains("rule MET"), "{}", hands.screen());
    let [first, second, third] = declare[..] else { panic!("{declare:?}") };
    hands.leads_to(first, &["next field: declare an incident"]).await;
    hands.leads_to(second, &["▸ Enter  declare an incident"]).await;
    hands.leads(third, "an incident", |screen| screen.lines().next()?.contains(" SEV").then_some(())).await;
    assert!(hands.first().contains("us-east-1"), "{}", hands.first());

    let [first, second] = arm[..] else { panic!("{arm:?}") };
    hands.leads_to(first, &["▸ y  arm this cockpit?", "15m without a key"]).await;
    hands.leads_to(second, &[" ARMED "]).await;

    let [first, second] = run[..] else { panic!("{run:?}") };
    hands.leads_to(first, &["▸ Enter  run regional-failover (live)"]).await;
    hands.leads_to(second, &["3 regional-failover ", GATE]).await;
    assert!(hands.screen().contains("◆ GATE"), "{}", hands.screen());

    // Something is odd: nothing new starts, and the commands by hand are there meanwhile.
    hands.leads(hold[0], "HOLD", |screen| screen.lines().next()?.contains(" HOLD ").then_some(())).await;
    hands.leads_to(by_hand[0], &["by hand ─"]).await;
    hands.leads_to("G", &["# Later, "]).await;
    hands.ends("Esc", "by hand ─").await;
    hands.leads_to(hold[0], &["▸ y  release HOLD?"]).await;
    hands.leads("y", "no HOLD", |screen| (!screen.lines().next()?.contains(" HOLD ")).then_some(())).await;

    let (cards, forms) = answers_gates(&hands, open[0], confirm[0]).await;
    for words in ["│ now ", "│ change ", "│ guards ", "│ loss ", "can be reverted", "POINT OF NO RETURN"] {
        assert!(cards.contains(words), "no card says `{words}`\n{cards}");
    }
    for words in ["target ", "loss ", "There is no way back from it."] {
        assert!(forms.contains(words), "no name is typed under `{words}`\n{forms}");
    }

    hands.leads_to(close[0], &["close the incident", "Still open outside:", "The page is resolved with it."]).await;
    hands.types("the tour is played").await;
    hands.leads_to("Enter", &["▸tell everyone `resolved`", "←/→ choose"]).await;
    hands.leads_to("Enter", &["▸ Enter  close the incident"]).await;
    hands.types("the day shift goes on").await;
    hands.leads("Enter", "the end", |screen| screen.lines().next()?.contains("no incident").then_some(())).await;
    hands.leads_to("R", &["review of INC-"]).await;
    let records = place.folders()[0].join("state/records");
    assert!(fs::read_dir(&records).unwrap().count() > 0, "nothing in {}", records.display());
    hands.ends("Esc", "review of INC-").await;
    hands.press("q").await;
    hands.cockpit.left(0).await;
}
