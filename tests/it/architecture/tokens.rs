//! Rust's text as words and signs: as much of a lexer as it takes to follow names.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    /// `::`
    Path,
    Sign(char),
}

impl Token {
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// Comments and white space are left out; texts, characters and numbers become a single `"`.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        let begins = |what: &str| what.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
        if c.is_whitespace() {
            at += 1;
        } else if begins("//") {
            at += rest.iter().take_while(|c| **c != '\n').count();
        } else if begins("/*") {
            at += comment(rest);
        } else if let Some(length) = literal(rest) {
            tokens.push(Token::Sign('"'));
            at += length;
        } else if c == '\'' {
            // A lifetime or a label: its name says nothing.
            at += 1 + rest[1..].iter().take_while(|c| is_word(**c)).count();
        } else if is_word(c) {
            let word: String = rest.iter().take_while(|c| is_word(**c)).collect();
            at += word.chars().count();
            let is_number = c.is_ascii_digit();
            tokens.push(if is_number { Token::Sign('"') } else { Token::Word(word) });
        } else if begins("::") {
            tokens.push(Token::Path);
            at += 2;
        } else {
            tokens.push(Token::Sign(c));
            at += 1;
        }
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a comment that may hold others.
fn comment(chars: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a text or a character that begins here.
fn literal(chars: &[char]) -> Option<usize> {
    let prefix = chars.iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let hashes = chars[prefix..].iter().take_while(|c| **c == '#').count();
    let raw = prefix > 0 && chars[prefix - 1] == 'r';
    let open = prefix + hashes;
    match chars.get(open)? {
        '"' if prefix <= 2 && (raw || hashes == 0) => {
            let end: Vec<char> = if raw { ['"'].into_iter().chain(vec!['#'; hashes]).collect() } else { vec!['"'] };
            let mut at = open + 1;
            while at < chars.len() && !chars[at..].starts_with(&end) {
                at += if chars[at] == '\\' && !raw { 2 } else { 1 };
            }
            Some((at + end.len()).min(chars.len()))
        }
        '\'' if prefix <= 1 && hashes == 0 => match (chars.get(open + 1)?, chars.get(open + 2)?) {
            ('\\', _) => {
                let end = chars.iter().skip(open + 3).position(|c| *c == '\'')?;
                Some(open + 3 + end + 1)
            }
            (_, '\'') => Some(open + 3),
            _ => None,
        },
        _ => None,
    }
}
