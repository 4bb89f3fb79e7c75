//! Whether a PostgreSQL server answers: a client's first words, and the server's one letter. Nobody logs in, so no password is needed.
//!
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// `SSLRequest`: its length, then 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Asks the server at `address` (`host:port`) whether it speaks TLS; `S` and `N` are both a server that is there.
///
/// # Errors
/// Why there is none, in a few words.
pub async fn answers(address: &str, patience: Duration) -> Result<(), String> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    match timeout(patience, asking).await {
        Ok(Ok(b'S' | b'N')) => Ok(()),
        Ok(Ok(_)) => Err(format!("what answers at {address} is no PostgreSQL server")),
        Ok(Err(error)) => Err(format!("{address} takes no connection: {}", error.kind())),
        Err(_) => Err(format!("{address} does not answer within {:.1} s", patience.as_secs_f64())),
    }
}
