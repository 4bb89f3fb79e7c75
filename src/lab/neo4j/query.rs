//! The few queries that the lab understands, as words.

use super::packstream::{Map, Value};
use super::{Cluster, NEO4J, VERSION, admin, show};
use crate::lab::handout::NEO4J_USER;
use crate::lab::world::{Tick, Truth};

/// What the client announced that it wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// A query as it came.
pub struct Request<'a> {
    pub database: &'a str,
    pub access: Access,
    pub text: &'a str,
    pub params: &'a Map,
}

#[derive(Debug, Default)]
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    pub writes: bool,
}

impl Answer {
    pub fn new(columns: &[&str], rows: Vec<Vec<Value>>) -> Self {
        Self { columns: columns.iter().map(|column| (*column).to_owned()).collect(), rows, writes: false }
    }
    /// Of a command that changes something and returns nothing.
    pub fn written() -> Self {
        Self { writes: true, ..Self::default() }
    }
}

/// A refusal with Neo4j's code. <https://neo4j.com/docs/status-codes/current/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

impl Failure {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new("Neo.ClientError.Statement.ArgumentError", message)
    }
    fn syntax(text: &str) -> Self {
        Self::new("Neo.ClientError.Statement.SyntaxError", format!("Invalid input: the lab does not know '{text}'"))
    }
    pub fn not_a_leader() -> Self {
        Self::new(
            "Neo.ClientError.Cluster.NotALeader",
            "No write operations are allowed directly on this database. Writes must pass through the leader. \
             The role of this server is: FOLLOWER",
        )
    }
}

/// A word, a text, a parameter's value, or a sign.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Value(Value),
    Sign(char),
}

/// Walks through the tokens of a query.
pub struct Words {
    tokens: Vec<Token>,
    at: usize,
}

impl Words {
    fn new(text: &str, params: &Map) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_end().trim_end_matches(';').trim();
        while let Some(c) = rest.chars().next() {
            let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let (token, length) = match c {
                '\'' | '"' => {
                    let end = rest[1..].find(c)?;
                    (Token::Value(rest[1..=end].into()), end + 2)
                }
                '`' => {
                    let end = rest[1..].find('`')?;
                    (Token::Word(rest[1..=end].to_owned()), end + 2)
                }
                '$' => {
                    let end = rest[1..].find(|c| !plain(c)).unwrap_or(rest.len() - 1);
                    (Token::Value(params.get(&rest[1..=end])?.clone()), end + 1)
                }
                c if plain(c) => {
                    let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
                    let word = &rest[..end];
                    let token = match word.parse() {
                        Ok(number) => Token::Value(Value::Int(number)),
                        Err(_) => Token::Word(word.to_owned()),
                    };
                    (token, end)
                }
                c => (Token::Sign(c), c.len_utf8()),
            };
            tokens.push(token);
            rest = rest[length..].trim_start();
        }
        Some(Self { tokens, at: 0 })
    }

    /// Goes past `phrase` if it comes next, in any case of letters. Signs stand alone in it.
    pub fn skip(&mut self, phrase: &str) -> bool {
        let fits = |token: Option<&Token>, word: &str| match token {
            Some(Token::Word(found)) => found.eq_ignore_ascii_case(word),
            Some(Token::Sign(sign)) => word.chars().eq([*sign]),
            _ => false,
        };
        let words: Vec<&str> = phrase.split(' ').collect();
        let all = words.iter().enumerate().all(|(at, word)| fits(self.tokens.get(self.at + at), word));
        self.at += if all { words.len() } else { 0 };
        all
    }

    /// Whether all were walked past.
    pub fn done(&self) -> bool {
        self.at == self.tokens.len()
    }

    /// A name, quoted, plain or as a parameter.
    pub fn name(&mut self) -> Option<String> {
        let name = match self.tokens.get(self.at)? {
            Token::Word(word) => word.clone(),
            Token::Value(value) => value.text()?.to_owned(),
            Token::Sign(_) => return None,
        };
        self.at += 1;
        Some(name)
    }

    /// A value: a text, a number, `[…]` or `{…}`.
    pub fn value(&mut self) -> Option<Value> {
        if self.skip("[") {
            let mut items = Vec::new();
            while !self.skip("]") {
                items.push(self.value()?);
                self.skip(",");
            }
            return Some(Value::List(items));
        }
        if self.skip("{") {
            let mut entries = Map::new();
            while !self.skip("}") {
                let key = self.name()?;
                self.skip(":").then_some(())?;
                entries.insert(key, self.value()?);
                self.skip(",");
            }
            return Some(Value::Map(entries));
        }
        let value = match self.tokens.get(self.at)? {
            Token::Value(value) => value.clone(),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Value::Null,
            _ => return None,
        };
        self.at += 1;
        Some(value)
    }

    /// `(…)`
    fn arguments(&mut self) -> Option<Vec<Value>> {
        self.skip("(").then_some(())?;
        let mut arguments = Vec::new();
        while !self.skip(")") {
            arguments.push(self.value()?);
            self.skip(",");
        }
        Some(arguments)
    }

    /// The columns of a `YIELD`; `None` if there is none, an empty list for `YIELD *`.
    pub fn yields(&mut self) -> Option<Vec<String>> {
        self.skip("YIELD").then_some(())?;
        if self.skip("*") {
            return Some(Vec::new());
        }
        let mut columns = Vec::new();
        while let Some(column) = self.name() {
            columns.push(column);
            if !self.skip(",") {
                break;
            }
        }
        Some(columns)
    }
}

/// Carries out a query at `server`.
///
/// # Errors
/// With the code that a client would get from Neo4j.
pub fn execute(truth: &mut Truth, server: usize, request: &Request<'_>, tick: &Tick<'_>) -> Result<Answer, Failure> {
    let syntax = || Failure::syntax(request.text);
    let mut words = Words::new(request.text, request.params).ok_or_else(syntax)?;
    if words.skip("SHOW SERVERS") {
        return show::servers(&truth.neo4j, words.yields(), tick);
    }
    if words.skip("SHOW DATABASES") {
        return show::databases(&truth.neo4j, None, words.yields(), tick);
    }
    if words.skip("SHOW DATABASE") {
        let name = words.name().ok_or_else(syntax)?;
        return show::databases(&truth.neo4j, Some(&name), words.yields(), tick);
    }
    if words.skip("SHOW CURRENT USER") {
        let roles = Value::List(vec!["PUBLIC".into(), "admin".into()]);
        return Ok(Answer::new(&["user", "roles"], vec![vec![NEO4J_USER.into(), roles]]));
    }
    if words.skip("CALL dbms.components") {
        let row = vec!["Neo4j Kernel".into(), Value::List(vec![VERSION.into()]), "enterprise".into()];
        return Ok(Answer::new(&["name", "versions", "edition"], vec![row]));
    }
    if words.skip("CALL dbms.cluster.statusCheck") {
        let arguments = words.arguments().ok_or_else(syntax)?;
        return show::status_check(&truth.neo4j, server, arguments.first(), tick);
    }
    if let Some(command) = admin::parse(&mut words)? {
        let place = format!("{NEO4J}@{}", truth.neo4j.servers[server].region);
        let (action, target) = (command.action(), command.target());
        let dry = command.is_dry_run();
        let outcome = admin::execute(&mut truth.neo4j, server, command, tick);
        if !dry {
            truth.record(&place, action, &target, outcome.is_ok());
        }
        return outcome;
    }
    data(&mut truth.neo4j, server, request, &mut words, tick)
}

/// Procedures of `CALL` with their arguments, for [`admin::parse`].
pub fn call(words: &mut Words, name: &str) -> Result<Option<Vec<Value>>, Failure> {
    if !words.skip(&format!("CALL {name}")) {
        return Ok(None);
    }
    words.arguments().map(Some).ok_or_else(|| Failure::syntax(name))
}

/// A query on the data of one database.
fn data(
    cluster: &mut Cluster,
    server: usize,
    request: &Request<'_>,
    words: &mut Words,
    tick: &Tick<'_>,
) -> Result<Answer, Failure> {
    cluster.serves(server, request.database)?;
    if words.skip("RETURN")
        && let Some(value) = words.value()
    {
        let column = if words.skip("AS") { words.name() } else { None };
        let column = column.unwrap_or_else(|| request.text["RETURN".len()..].trim().to_owned());
        return Ok(Answer::new(&[&column], vec![vec![value]]));
    }
    if words.skip("MATCH ( h : Heartbeat ) RETURN max ( h.at )") {
        let column = if words.skip("AS") { words.name() } else { None };
        let newest = cluster.newest_at(server, request.database).map_or(Value::Null, Value::Moment);
        return Ok(Answer::new(&[&column.unwrap_or_else(|| "max(h.at)".into())], vec![vec![newest]]));
    }
    if words.skip("CREATE (") || words.skip("MERGE (") {
        if request.access == Access::Read {
            let message = "Writing in read access mode not allowed.";
            return Err(Failure::new("Neo.ClientError.Statement.AccessMode", message));
        }
        cluster.commit(server, request.database, tick.now, tick.faults)?;
        return Ok(Answer::written());
    }
    Err(Failure::syntax(request.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_walked_past() {
        let params = Map::from([("s".to_owned(), Value::from("neo4j-1"))]);
        let mut words = Words::new("call dbms.x([], {a: ['b'], c: 1}, $s) YIELD name, id;", &params).unwrap();
        assert!(!words.skip("CALL dbms.y"));
        assert!(words.skip("CALL dbms.x"));
        let arguments = words.arguments().unwrap();
        assert_eq!(arguments[2], Value::from("neo4j-1"));
        assert_eq!(words.yields(), Some(vec!["name".to_owned(), "id".to_owned()]));
        assert!(words.done());
        assert!(Words::new("RETURN $missing", &params).is_none());
        assert!(Words::new("RETURN 'open", &params).is_none());
    }
}
