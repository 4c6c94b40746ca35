//! The tree of a template.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::Value;

/// One template: its nodes and the text they came from.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The name it is called by.
    pub(crate) name: String,
    /// The name its text was parsed under.
    pub(crate) parse_name: String,
    pub(crate) text: Arc<str>,
    pub(crate) nodes: Vec<Node>,
}

impl Tree {
    /// Whether it would print nothing but white space.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
    }

    /// Line (from 1) and byte in the line (from 0) of a place in the text.
    pub(crate) fn place(&self, pos: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..pos.min(self.text.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        (line, before.len() - line_start)
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(Arc<str>),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { pos: usize, name: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// `$a, $b := command | command`
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) variables: Vec<Arc<str>>,
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) pos: usize,
    pub(crate) kind: OperandKind,
}

#[derive(Debug)]
pub(crate) enum OperandKind {
    Dot,
    Nil,
    /// A bool, a number or a string, and how it was written.
    Constant(Value, String),
    Function(String),
    Field(Vec<String>),
    Variable(Arc<str>, Vec<String>),
    Pipe(Box<Pipe>),
    Chain(Box<Operand>, Vec<String>),
}

impl Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, variable) in self.variables.iter().enumerate() {
            write!(f, "{}{variable}", if idx > 0 { ", " } else { "" })?;
        }
        if !self.variables.is_empty() {
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (idx, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if idx > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, operand) in self.operands.iter().enumerate() {
            write!(f, "{}{operand}", if idx > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperandKind::Dot => f.write_str("."),
            OperandKind::Nil => f.write_str("nil"),
            OperandKind::Constant(_, written) => f.write_str(written),
            OperandKind::Function(name) => f.write_str(name),
            OperandKind::Field(names) => write_fields(f, names),
            OperandKind::Variable(name, names) => {
                f.write_str(name)?;
                write_fields(f, names)
            }
            OperandKind::Pipe(pipe) => write!(f, "({pipe})"),
            OperandKind::Chain(operand, names) => {
                write!(f, "{operand}")?;
                write_fields(f, names)
            }
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}
