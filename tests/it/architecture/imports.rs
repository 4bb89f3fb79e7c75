//! Which file needs which, read from the sources: a name counts for the file that defines it, by whatever re-exports it is reached.
//!
//! No compiler is asked. What a file names by a `use` or by a path of several segments is followed from module to module, as the
//! compiler would; what stands behind `#[cfg(test)]` is left out, and so is what a file only hands on (`pub use`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::tokens::{Token, tokens};

/// A path of names: of a module from the crate's root, or as it is written.
type Path = Vec<String>;

/// What each file needs of which other files.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

#[derive(Default)]
struct Module {
    file: String,
    defines: BTreeSet<String>,
    children: BTreeSet<String>,
    /// Children that only tests have.
    untold: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths of several segments in the code, and all words that stand alone.
    paths: BTreeSet<Path>,
    words: BTreeSet<String>,
}

struct Use {
    path: Path,
    /// What it is called here; `None` for all that the path holds.
    name: Option<String>,
    public: bool,
}

/// Reads the files of a crate, each by its path below `src/` and its text.
pub fn imports(files: &[(String, String)]) -> Imports {
    let mut house = House::default();
    for (file, text) in files {
        let tokens = tokens(text);
        house.read(module_of(file), file, &tokens);
    }
    house.imports()
}

/// The shortest way from a file back to itself, for each file that has one; each circle once.
pub fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for start in imports.keys() {
        if found.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        found.extend(way_back(imports, start));
    }
    found
}

fn way_back(imports: &Imports, start: &String) -> Option<Vec<String>> {
    let mut from: BTreeMap<&String, &String> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(file) = open.pop_front() {
        for next in imports.get(file).into_iter().flatten() {
            if next == start {
                let mut way = vec![file.clone()];
                while way.last() != Some(start) {
                    way.push(from[way.last()?].clone());
                }
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(next) {
                from.insert(next, file);
                open.push_back(next);
            }
        }
    }
    None
}

/// `domain/fact/mod.rs` is the module `domain::fact`, `lib.rs` the crate itself.
fn module_of(file: &str) -> Path {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut path: Path = stem.split('/').map(str::to_owned).collect();
    if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
        path.pop();
    }
    path
}

#[derive(Default)]
struct House {
    modules: BTreeMap<Path, Module>,
}

enum Found<'h> {
    /// Something that this module defines.
    In(&'h Module),
    Module(&'h Path, &'h Module),
}

impl House {
    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (path, module) in self.modules.iter().filter(|(path, _)| !self.is_for_tests(path)) {
            let needs = imports.entry(module.file.clone()).or_default();
            let used = |it: &&Use| !it.public || it.name.as_ref().is_some_and(|name| module.words.contains(name));
            let named = module.uses.iter().filter(used).map(|it| &it.path).chain(&module.paths);
            needs.extend(named.filter_map(|named| self.file_of(path, named)).filter(|file| *file != module.file));
        }
        imports
    }

    fn is_for_tests(&self, path: &[String]) -> bool {
        (1..=path.len()).any(|end| {
            let parent = self.modules.get(&path[..end - 1]);
            parent.is_some_and(|parent| parent.untold.contains(&path[end - 1]))
        })
    }

    /// The file that defines what a path names, if that is a file of the crate.
    fn file_of(&self, from: &Path, named: &[String]) -> Option<String> {
        match self.follow(from, named, 0)? {
            Found::In(module) => Some(module.file.clone()),
            Found::Module(..) => None,
        }
    }

    fn follow<'h>(&'h self, from: &Path, named: &[String], depth: usize) -> Option<Found<'h>> {
        let (mut at, mut rest): (Path, &[String]) = match named.first()?.as_str() {
            "crate" => (Path::new(), &named[1..]),
            "self" => (from.clone(), &named[1..]),
            "super" => {
                let ups = named.iter().take_while(|name| *name == "super").count();
                (from[..from.len().checked_sub(ups)?].to_vec(), &named[ups..])
            }
            _ => (from.clone(), named),
        };
        loop {
            let (path, module) = self.modules.get_key_value(&at)?;
            let Some(name) = rest.first() else { return Some(Found::Module(path, module)) };
            match self.look_up(path, module, name, depth)? {
                Found::Module(path, _) => at.clone_from(path),
                found => return Some(found),
            }
            rest = &rest[1..];
        }
    }

    fn look_up<'h>(&'h self, path: &Path, module: &'h Module, name: &String, depth: usize) -> Option<Found<'h>> {
        // Re-exports that go in a circle lead nowhere.
        if depth > 12 {
            return None;
        }
        if module.defines.contains(name) {
            return Some(Found::In(module));
        }
        if module.children.contains(name) {
            let (path, module) = self.modules.get_key_value(&[path.as_slice(), std::slice::from_ref(name)].concat())?;
            return Some(Found::Module(path, module));
        }
        let named =
            module.uses.iter().filter(|it| it.name.as_ref() == Some(name) && it.path.as_slice() != [name.clone()]);
        let found = named.filter_map(|it| self.follow(path, &it.path, depth + 1)).next();
        found.or_else(|| {
            let all = module.uses.iter().filter(|it| it.name.is_none());
            let inside = |it: &Use| match self.follow(path, &it.path, depth + 1)? {
                Found::Module(within, held) if within != path => self.look_up(within, held, name, depth + 1),
                _ => None,
            };
            all.filter_map(inside).next()
        })
    }

    fn read(&mut self, path: Path, file: &str, tokens: &[Token]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        let mut at = 0;
        while at < tokens.len() {
            let item = Item::at(tokens, at);
            at = item.end;
            match item.kind {
                Kind::Nothing => {}
                Kind::Module(name) => {
                    if item.tests {
                        module.untold.insert(name.clone());
                    }
                    module.children.insert(name.clone());
                    if !item.body.is_empty() {
                        self.read([path.as_slice(), &[name]].concat(), file, item.body);
                    }
                }
                _ if item.tests => {}
                Kind::Use => flatten(item.body, &mut Path::new(), item.public, &mut module.uses),
                Kind::Defines(names) => {
                    module.defines.extend(names);
                    note_paths(item.body, &mut module);
                }
            }
        }
        self.modules.insert(path, module);
    }
}

enum Kind {
    Nothing,
    Module(String),
    Use,
    Defines(Vec<String>),
}

/// One item of a module, with its attributes.
struct Item<'t> {
    kind: Kind,
    public: bool,
    tests: bool,
    body: &'t [Token],
    end: usize,
}

impl<'t> Item<'t> {
    fn at(tokens: &'t [Token], start: usize) -> Self {
        let (mut at, mut tests, mut public) = (start, false, false);
        while is_sign(tokens, at, '#') {
            let open = if is_sign(tokens, at + 1, '!') { at + 2 } else { at + 1 };
            let end = closed(tokens, open);
            let words: Vec<&str> = tokens[open..end].iter().filter_map(Token::word).collect();
            tests |= words.contains(&"cfg") && words.contains(&"test") && !words.contains(&"not");
            at = end;
        }
        if word(tokens, at) == Some("pub") {
            public = true;
            at += 1;
            if is_sign(tokens, at, '(') {
                at = closed(tokens, at);
            }
        }
        let begin = at;
        let item = |kind, end: usize| Item { kind, public, tests, body: &tokens[begin..end.min(tokens.len())], end };
        let named = |offset: usize| word(tokens, at + offset).map(str::to_owned);
        match word(tokens, at) {
            Some("use") => {
                let end = statement(tokens, at);
                Item { kind: Kind::Use, public, tests, body: &tokens[at + 1..end - 1], end }
            }
            Some("mod") => {
                let name = named(1).unwrap_or_default();
                let end = if is_sign(tokens, at + 2, '{') { closed(tokens, at + 2) } else { at + 3 };
                let body = if end > at + 3 { &tokens[at + 3..end - 1] } else { &[] };
                Item { kind: Kind::Module(name), public, tests, body, end }
            }
            Some("static" | "type") => item(Kind::Defines(named(1).into_iter().collect()), statement(tokens, at)),
            Some("const") if word(tokens, at + 1) != Some("fn") => {
                item(Kind::Defines(named(1).into_iter().collect()), statement(tokens, at))
            }
            Some("struct" | "enum" | "union" | "trait" | "impl") => {
                let kind = word(tokens, at).filter(|kind| *kind != "impl").and_then(|_| named(1));
                item(Kind::Defines(kind.into_iter().collect()), block(tokens, at))
            }
            Some("const" | "async" | "unsafe" | "extern" | "fn") => {
                let end = block(tokens, at);
                let keyword = (at..end).find(|it| matches!(word(tokens, *it), Some("fn" | "impl" | "trait")));
                let name = keyword.filter(|it| word(tokens, *it) != Some("impl")).and_then(|it| word(tokens, it + 1));
                item(Kind::Defines(name.map(str::to_owned).into_iter().collect()), end)
            }
            Some("macro_rules") => item(Kind::Defines(named(2).into_iter().collect()), block(tokens, at)),
            Some(_) if is_sign(tokens, at + 1, '!') => {
                let end = block(tokens, at);
                item(Kind::Defines(at_depth_one(&tokens[at..end])), end)
            }
            _ => item(Kind::Nothing, at + 1),
        }
    }
}

/// The names that a macro makes: those that stand in its outermost braces.
fn at_depth_one(tokens: &[Token]) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    for token in tokens {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            Token::Word(name) if depth == 1 => names.push(name.clone()),
            _ => {}
        }
    }
    names
}

fn word(tokens: &[Token], at: usize) -> Option<&str> {
    tokens.get(at).and_then(Token::word)
}

fn is_sign(tokens: &[Token], at: usize, sign: char) -> bool {
    matches!(tokens.get(at), Some(Token::Sign(it)) if *it == sign)
}

/// Past what closes the bracket at `open`.
fn closed(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Past the next semicolon outside of brackets.
fn statement(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() && !is_sign(tokens, at, ';') {
        at = if matches!(tokens[at], Token::Sign('(' | '[' | '{')) { closed(tokens, at) } else { at + 1 };
    }
    (at + 1).min(tokens.len())
}

/// Past the braces that end an item, or past its semicolon.
fn block(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        match tokens[at] {
            Token::Sign(';') => return at + 1,
            Token::Sign('{') => return closed(tokens, at),
            Token::Sign('(' | '[') => at = closed(tokens, at),
            _ => at += 1,
        }
    }
    tokens.len()
}

/// `a::{b, c::{self, d}}` as `a::b`, `a::c` and `a::c::d`.
fn flatten(tree: &[Token], prefix: &mut Path, public: bool, uses: &mut Vec<Use>) {
    let (depth, mut at) = (prefix.len(), 0);
    let mut name = None;
    while at < tree.len() {
        match &tree[at] {
            Token::Word(it) if it == "as" => {
                name = word(tree, at + 1).map(str::to_owned);
                at += 1;
            }
            Token::Word(it) if it == "self" && !prefix.is_empty() && depth == prefix.len() => {}
            Token::Word(it) => prefix.push(it.clone()),
            Token::Sign('*') => uses.push(Use { path: prefix.clone(), name: None, public }),
            Token::Sign('{') => {
                let end = closed(tree, at);
                for part in parts(&tree[at + 1..end - 1]) {
                    flatten(part, &mut prefix.clone(), public, uses);
                }
                at = end - 1;
            }
            _ => {}
        }
        at += 1;
    }
    let last = tree.last().is_some_and(|it| matches!(it, Token::Word(_)));
    if let Some(own) = prefix.last().filter(|_| last) {
        let name = name.or_else(|| Some(own.clone()));
        uses.push(Use { path: prefix.clone(), name, public });
    }
    prefix.truncate(depth);
}

fn parts(list: &[Token]) -> Vec<&[Token]> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, token) in list.iter().enumerate() {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            Token::Sign(',') if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// Paths of several segments, and words that stand alone. What follows a single dot is a field or a method.
fn note_paths(code: &[Token], module: &mut Module) {
    let mut at = 0;
    while at < code.len() {
        let Some(first) = code[at].word() else {
            at += 1;
            continue;
        };
        let mut path = vec![first.to_owned()];
        let mut next = at + 1;
        while matches!(code.get(next), Some(Token::Path)) {
            let Some(name) = word(code, next + 1) else { break };
            path.push(name.to_owned());
            next += 2;
        }
        let before = |back: usize| at.checked_sub(back).and_then(|it| code.get(it));
        let dot = |token: Option<&Token>| matches!(token, Some(Token::Sign('.')));
        let is_field = dot(before(1)) && !dot(before(2));
        if !is_field && !matches!(before(1), Some(Token::Path)) {
            module.words.insert(path[0].clone());
            if path.len() > 1 {
                module.paths.insert(path);
            }
        }
        at = next;
    }
}
