//! A cockpit here and the engine there, over a bad line: 300 ms each way, and what is lost on the way comes late.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::process::{EMPTY, Home};
use crate::terminal::Cockpit;

/// One way.
const DELAY: Duration = Duration::from_millis(300);
/// Every so many pieces one is lost, and sent again after this.
const LOST: usize = 50;
const AGAIN: Duration = Duration::from_millis(600);

/// A socket that leads to the engine of `home` over such a line, and how to stop all that is on it. It keeps the order, as TCP does: what
/// is late holds up what follows.
fn line(home: &Home) -> (PathBuf, watch::Sender<bool>) {
    let (path, engine) = (home.dir().join("line.sock"), home.state().join("engine.sock"));
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = UnixStream::connect(&engine).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out, stopped.clone()));
            tokio::spawn(carry(far_in, near_out, stopped.clone()));
        }
    });
    (path, stop)
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin + Send + 'static,
    mut stopped: watch::Receiver<bool>,
) {
    let (under_way, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, piece)) = arriving.recv().await {
            tokio::time::sleep_until(due).await;
            if stopped.wait_for(|stopped| !stopped).await.is_err() || to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    // A segment's worth at a time.
    let mut buffer = [0; 1400];
    for count in 1.. {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let lost = if count % LOST == 0 { AGAIN } else { Duration::ZERO };
        if under_way.send((Instant::now() + DELAY + lost, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_bad_line_what_is_typed_is_seen_before_the_engine_hears_of_it() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let client = home.client();
    let (socket, stop) = line(&home);
    let mut cockpit = Cockpit::open(&home, "far", &format!("--socket {}", socket.display()), &[]);
    cockpit.shows("● live").await;

    cockpit.press("D");
    cockpit.shows("declare an incident").await;
    let before = client.snapshot().await.unwrap().state.seq;
    // While nothing comes through at all, what is typed is on the screen.
    stop.send(true).unwrap();
    cockpit.press("\r");
    cockpit.shows("Enter declare").await;
    cockpit.press("over a bad line");
    cockpit.shows("over a bad line").await;
    stop.send(false).unwrap();
    // What reaches people counts only by itself, and is pressed again when it was not taken.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        if cockpit.screen().contains("INC-") {
            break;
        }
        cockpit.press("\r");
        tokio::time::sleep(DELAY * 3).await;
    }
    cockpit.shows("INC-").await;
    let state = client.snapshot().await.unwrap().state;
    assert!(state.seq > before && state.incident.is_some_and(|it| it.title.contains("over a bad line")));

    // What others do arrives by itself.
    home.says("hold on").await.is(0, &[]);
    cockpit.shows("HOLD").await;
    cockpit.press("q");
    cockpit.left(0).await;
}
