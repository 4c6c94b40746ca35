//! Tokens into trees.

use std::sync::Arc;

use crate::lexer::{self, Kind, Token};
use crate::node::{Branch, Command, Node, Operand, OperandKind, Pipe, Tree};
use crate::{Functions, TemplateError, Value, number};

/// How deep blocks and parentheses may nest.
const NESTING_MAX: usize = 60;

/// Parses a text; the trees are those it defines, its own last.
pub(crate) fn parse(name: &str, text: &str, functions: &Functions) -> Result<Vec<Tree>, TemplateError> {
    let text: Arc<str> = text.into();
    let fail = |pos: usize, message: String| {
        let line = 1 + text.as_bytes()[..pos.min(text.len())].iter().filter(|b| **b == b'\n').count();
        TemplateError::Parse { name: name.to_owned(), line, message }
    };
    let tokens = lexer::tokens(&text).map_err(|error| fail(error.pos, error.message))?;
    let mut parser = Parser {
        name,
        text: &text,
        tokens,
        at: 0,
        functions,
        variables: vec!["$".into()],
        ranges: 0,
        nesting: 0,
        defined: Vec::new(),
    };
    let nodes = parser.top_level().map_err(|error| fail(error.pos, error.message))?;
    let mut trees = parser.defined;
    trees.push(Tree { name: name.to_owned(), parse_name: name.to_owned(), text: Arc::clone(&text), nodes });
    Ok(trees)
}

struct ParseError {
    pos: usize,
    message: String,
}

type Parsed<T> = Result<T, ParseError>;

/// How a list of nodes ended.
enum End<'t> {
    /// `{{end}}`
    End,
    /// `{{else}}`; the next tokens are what follows the word.
    Else(Token<'t>),
}

struct Parser<'t> {
    name: &'t str,
    text: &'t Arc<str>,
    tokens: Vec<Token<'t>>,
    at: usize,
    functions: &'t Functions,
    variables: Vec<Arc<str>>,
    ranges: usize,
    nesting: usize,
    defined: Vec<Tree>,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Token<'t> {
        let token = self.tokens[self.at.min(self.tokens.len() - 1)];
        self.at += 1;
        token
    }

    fn peek(&self) -> Token<'t> {
        self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
    }

    fn next_non_space(&mut self) -> Token<'t> {
        self.skip_space();
        self.next()
    }

    fn fail<T>(&self, token: Token<'_>, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError { pos: token.pos, message: message.into() })
    }

    fn unexpected<T>(&self, token: Token<'_>, context: &str) -> Parsed<T> {
        if token.kind == Kind::Eof {
            return self.fail(token, "unexpected EOF");
        }
        let quoted = match token.kind {
            Kind::Keyword => format!("<{}>", token.text),
            _ => format!("{:?}", token.text),
        };
        self.fail(token, format!("unexpected {quoted} in {context}"))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token<'t>> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { self.unexpected(token, context) }
    }

    fn enter(&mut self) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return self.fail(self.peek(), format!("nested deeper than {NESTING_MAX} levels"));
        }
        Ok(())
    }

    fn top_level(&mut self) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Eof => return Ok(nodes),
                Kind::Text => nodes.push(Node::Text(token.text.into())),
                _ => {
                    let first = self.next_non_space();
                    match (first.kind, first.text) {
                        (Kind::Keyword, "define") => self.definition()?,
                        (Kind::Keyword, word @ ("end" | "else")) => {
                            return self.fail(first, format!("unexpected {{{{{word}}}}}"));
                        }
                        _ => nodes.push(self.action(first)?),
                    }
                }
            }
        }
    }

    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let name = self.template_name(context)?;
        self.expect(Kind::RightDelim, context)?;
        self.subtree(name, "{{define}}")
    }

    /// Parses up to `{{end}}` as a template of its own.
    fn subtree(&mut self, name: String, what: &str) -> Parsed<()> {
        let outer_variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let outer_ranges = std::mem::take(&mut self.ranges);
        let start = self.peek();
        let (nodes, end) = self.list()?;
        if let End::Else(token) = end {
            return self.fail(token, format!("unexpected {{{{else}}}} in {what}"));
        }
        self.variables = outer_variables;
        self.ranges = outer_ranges;
        let tree = Tree { name, parse_name: self.name.to_owned(), text: Arc::clone(self.text), nodes };
        match self.defined.iter().position(|other| other.name == tree.name) {
            None => self.defined.push(tree),
            Some(idx) if self.defined[idx].is_empty() => self.defined[idx] = tree,
            Some(_) if tree.is_empty() => {}
            Some(_) => {
                return self
                    .fail(start, format!("template: multiple definition of template {:?}", tree.name));
            }
        }
        Ok(())
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.next_non_space();
        match token.kind {
            Kind::String | Kind::RawString => self.unquoted(token),
            _ => self.unexpected(token, context),
        }
    }

    fn unquoted(&self, token: Token<'_>) -> Parsed<String> {
        match number::unquote(token.text) {
            Some(text) => Ok(text),
            None => self.fail(token, "invalid syntax"),
        }
    }

    /// Nodes up to `{{end}}` or `{{else`.
    fn list(&mut self) -> Parsed<(Vec<Node>, End<'t>)> {
        self.enter()?;
        let mut nodes = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Eof => return self.fail(token, "unexpected EOF"),
                Kind::Text => nodes.push(Node::Text(token.text.into())),
                _ => {
                    let first = self.next_non_space();
                    match (first.kind, first.text) {
                        (Kind::Keyword, "end") => {
                            self.expect(Kind::RightDelim, "end")?;
                            self.nesting -= 1;
                            return Ok((nodes, End::End));
                        }
                        (Kind::Keyword, "else") => {
                            self.nesting -= 1;
                            return Ok((nodes, End::Else(first)));
                        }
                        (Kind::Keyword, "define") => return self.unexpected(first, "command"),
                        _ => nodes.push(self.action(first)?),
                    }
                }
            }
        }
    }

    fn action(&mut self, first: Token<'t>) -> Parsed<Node> {
        if first.kind == Kind::Keyword {
            return match first.text {
                "if" => Ok(Node::If(self.branch("if")?)),
                "with" => Ok(Node::With(self.branch("with")?)),
                "range" => Ok(Node::Range(self.branch("range")?)),
                "template" => self.template_call(first),
                "block" => self.block(first),
                "break" => self.loop_word(first, Node::Break),
                "continue" => self.loop_word(first, Node::Continue),
                _ => self.unexpected(first, "command"),
            };
        }
        self.at -= 1;
        let pipe = self.pipeline("command", Kind::RightDelim)?;
        Ok(Node::Action(pipe))
    }

    fn loop_word(&mut self, word: Token<'t>, node: Node) -> Parsed<Node> {
        if self.ranges == 0 {
            return self.fail(word, format!("{{{{{}}}}} outside {{{{range}}}}", word.text));
        }
        self.expect(Kind::RightDelim, word.text)?;
        Ok(node)
    }

    fn branch(&mut self, word: &'static str) -> Parsed<Branch> {
        self.enter()?;
        let scope = self.variables.len();
        let pipe = self.pipeline(word, Kind::RightDelim)?;
        if word == "range" {
            self.ranges += 1;
        }
        let (body, end) = self.list()?;
        if word == "range" {
            self.ranges -= 1;
        }
        let otherwise = match end {
            End::End => Vec::new(),
            End::Else(_) => self.otherwise(word)?,
        };
        self.variables.truncate(scope);
        self.nesting -= 1;
        Ok(Branch { pipe, body, otherwise })
    }

    fn otherwise(&mut self, word: &'static str) -> Parsed<Vec<Node>> {
        let token = self.next_non_space();
        match (token.kind, token.text, word) {
            (Kind::RightDelim, _, _) => {}
            // The one `{{end}}` closes the chain.
            (Kind::Keyword, "if", "if") => return Ok(vec![Node::If(self.branch("if")?)]),
            (Kind::Keyword, "with", "with") => return Ok(vec![Node::With(self.branch("with")?)]),
            _ => return self.unexpected(token, "else"),
        }
        let (nodes, end) = self.list()?;
        match end {
            End::End => Ok(nodes),
            End::Else(token) => self.fail(token, "expected end; found {{else}}"),
        }
    }

    fn template_call(&mut self, word: Token<'t>) -> Parsed<Node> {
        let name = self.template_name("template clause")?;
        self.skip_space();
        let pipe = if self.peek().kind == Kind::RightDelim {
            self.at += 1;
            None
        } else {
            Some(self.pipeline("template clause", Kind::RightDelim)?)
        };
        Ok(Node::Template { pos: word.pos, name, pipe })
    }

    fn block(&mut self, word: Token<'t>) -> Parsed<Node> {
        let name = self.template_name("block clause")?;
        let pipe = self.pipeline("block clause", Kind::RightDelim)?;
        self.subtree(name.clone(), "{{block}}")?;
        Ok(Node::Template { pos: word.pos, name, pipe: Some(pipe) })
    }

    fn pipeline(&mut self, context: &'static str, end: Kind) -> Parsed<Pipe> {
        self.enter()?;
        self.skip_space();
        let pos = self.peek().pos;
        let mut pipe = Pipe { pos, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.next_non_space();
            if token.kind == end {
                self.check_pipeline(token, context, &pipe)?;
                if !pipe.assigns {
                    self.variables.extend(pipe.variables.iter().cloned());
                }
                self.nesting -= 1;
                return Ok(pipe);
            }
            self.at -= 1;
            match token.kind {
                Kind::Bool
                | Kind::Char
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(token, context),
            }
        }
    }

    /// `$a :=`, `$a =`, and for range `$a, $b :=`.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Parsed<()> {
        loop {
            let start = self.at;
            let variable = self.peek();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.at += 1;
            self.skip_space();
            let sign = self.peek();
            let name: Arc<str> = variable.text.into();
            match sign.kind {
                Kind::Declare | Kind::Assign => {
                    self.at += 1;
                    pipe.variables.push(name);
                    pipe.assigns = sign.kind == Kind::Assign;
                    if pipe.assigns {
                        self.check_variables(variable, pipe)?;
                    }
                    self.skip_space();
                    return Ok(());
                }
                Kind::Comma if context == "range" && pipe.variables.len() < 2 => {
                    self.at += 1;
                    pipe.variables.push(name);
                    self.skip_space();
                    if pipe.variables.len() == 2 {
                        return self.fail(variable, format!("too many declarations in {context}"));
                    }
                }
                Kind::Comma => return self.fail(variable, format!("too many declarations in {context}")),
                _ => {
                    self.at = start;
                    return Ok(());
                }
            }
        }
    }

    fn check_variables(&self, token: Token<'_>, pipe: &Pipe) -> Parsed<()> {
        match pipe.variables.iter().find(|name| !self.variables.contains(name)) {
            Some(name) => self.fail(token, format!("undefined variable {name:?}")),
            None => Ok(()),
        }
    }

    fn check_pipeline(&self, token: Token<'_>, context: &str, pipe: &Pipe) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.fail(token, format!("missing value for {context}"));
        }
        for (idx, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = command.operands.first().map(|operand| &operand.kind);
            if matches!(first, Some(OperandKind::Dot | OperandKind::Nil | OperandKind::Constant(..))) {
                let stage = idx + 1;
                return self.fail(token, format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        self.skip_space();
        let pos = self.peek().pos;
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.at -= 1,
                // As in Go, a pipe may end a pipeline.
                Kind::Pipe => {}
                _ => return self.unexpected(token, "operand"),
            }
            break;
        }
        if operands.is_empty() {
            return self.fail(self.peek(), "empty command");
        }
        Ok(Command { pos, operands })
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else {
            return Ok(None);
        };
        // Go places a chain at its first dot after the first operand.
        let chain_pos = self.peek().pos;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(self.next().text[1..].to_owned());
        }
        if names.is_empty() {
            return Ok(Some(operand));
        }
        let pos = operand.pos;
        let kind = match operand.kind {
            OperandKind::Field(mut first) => {
                first.extend(names);
                OperandKind::Field(first)
            }
            OperandKind::Variable(name, mut first) => {
                first.extend(names);
                OperandKind::Variable(name, first)
            }
            OperandKind::Constant(..) | OperandKind::Nil | OperandKind::Dot => {
                return self.fail(self.peek(), format!("unexpected . after term {:?}", operand.to_string()));
            }
            kind @ (OperandKind::Function(_) | OperandKind::Pipe(_) | OperandKind::Chain(..)) => {
                OperandKind::Chain(Box::new(Operand { pos, kind }), names)
            }
        };
        Ok(Some(Operand { pos: chain_pos, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space();
        let kind = match token.kind {
            Kind::Identifier => {
                if !self.functions.contains(token.text) {
                    return self.fail(token, format!("function {:?} not defined", token.text));
                }
                OperandKind::Function(token.text.to_owned())
            }
            Kind::Dot => OperandKind::Dot,
            Kind::Nil => OperandKind::Nil,
            Kind::Variable => {
                if !self.variables.iter().any(|name| **name == *token.text) {
                    return self.fail(token, format!("undefined variable {:?}", token.text));
                }
                OperandKind::Variable(token.text.into(), Vec::new())
            }
            Kind::Field => OperandKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => OperandKind::Constant(Value::Bool(token.text == "true"), token.text.to_owned()),
            Kind::Number => match number::parse(token.text) {
                Some(value) => OperandKind::Constant(value, token.text.to_owned()),
                None => return self.fail(token, format!("bad number syntax: {:?}", token.text)),
            },
            Kind::Char => {
                let text = self.unquoted(token)?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => {
                        OperandKind::Constant(Value::Int(i64::from(u32::from(c))), token.text.to_owned())
                    }
                    _ => return self.fail(token, format!("malformed character constant: {}", token.text)),
                }
            }
            Kind::String | Kind::RawString => {
                OperandKind::Constant(Value::from(self.unquoted(token)?), token.text.to_owned())
            }
            Kind::LeftParen => {
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                OperandKind::Pipe(Box::new(pipe))
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { pos: token.pos, kind }))
    }
}
