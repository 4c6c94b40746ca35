//! Evaluating pipelines, commands and operands.

use std::fmt::Display;
use std::sync::Arc;

use super::Exec;
use crate::functions::TemplateCaller;
use crate::node::{Command, Operand, OperandKind, Pipe};
use crate::{CallError, MissingKey, TemplateError, Value};

type Evaluated = Result<Value, TemplateError>;

impl Exec<'_> {
    /// A pipeline's value, which its variables take.
    pub(super) fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Evaluated {
        let value = self.pipe_value(pipe, dot)?;
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone());
            } else {
                self.variables.push((Arc::clone(name), value.clone()));
            }
        }
        Ok(value)
    }

    /// A pipeline's value alone.
    pub(super) fn pipe_value(&mut self, pipe: &Pipe, dot: &Value) -> Evaluated {
        self.deeper()?;
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        self.depth -= 1;
        Ok(last.unwrap_or_default())
    }

    fn command(&mut self, command: &Command, dot: &Value, last: Option<Value>) -> Evaluated {
        self.step()?;
        let Some((first, rest)) = command.operands.split_first() else {
            return self.fail(command.pos, command, "empty command");
        };
        match &first.kind {
            OperandKind::Field(names) => self.chain(first, dot.clone(), names, CallArgs { rest, dot, last }),
            OperandKind::Variable(name, names) => {
                let receiver = self.variable(name);
                if names.is_empty() {
                    self.takes_no_args(first, rest, last.as_ref())?;
                    return Ok(receiver);
                }
                self.chain(first, receiver, names, CallArgs { rest, dot, last })
            }
            OperandKind::Chain(operand, names) => {
                let receiver = self.operand(operand, dot)?;
                self.chain(first, receiver, names, CallArgs { rest, dot, last })
            }
            OperandKind::Function(name) => self.function(command, first, name, CallArgs { rest, dot, last }),
            OperandKind::Nil => self.fail_at(first, "nil is not a command"),
            OperandKind::Pipe(_) | OperandKind::Dot | OperandKind::Constant(..) => {
                self.takes_no_args(first, rest, last.as_ref())?;
                self.operand(first, dot)
            }
        }
    }

    fn takes_no_args(
        &self,
        first: &Operand,
        rest: &[Operand],
        last: Option<&Value>,
    ) -> Result<(), TemplateError> {
        if rest.is_empty() && last.is_none() {
            return Ok(());
        }
        self.fail_at(first, format!("can't give argument to non-function {first}"))
    }

    fn variable(&self, name: &str) -> Value {
        let found = self.variables.iter().rev().find(|(known, _)| **known == *name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// An operand as an argument: fields and functions without arguments of their own.
    fn operand(&mut self, operand: &Operand, dot: &Value) -> Evaluated {
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Ok(Value::Nil),
            OperandKind::Constant(value, _) => Ok(value.clone()),
            OperandKind::Pipe(pipe) => self.pipe(pipe, dot),
            OperandKind::Field(names) => self.fields(operand, dot.clone(), names),
            OperandKind::Variable(name, names) => {
                let receiver = self.variable(name);
                self.fields(operand, receiver, names)
            }
            OperandKind::Chain(inner, names) => {
                let receiver = self.operand(inner, dot)?;
                self.fields(operand, receiver, names)
            }
            OperandKind::Function(name) => self.call_by_name(operand, (operand.pos, operand), name, &[]),
        }
    }

    fn fields(&mut self, operand: &Operand, receiver: Value, names: &[String]) -> Evaluated {
        names.iter().try_fold(receiver, |value, name| self.field(operand, &value, name, &[]))
    }

    /// A chain of fields and methods, the last of which takes the arguments.
    fn chain(&mut self, first: &Operand, receiver: Value, names: &[String], args: CallArgs<'_>) -> Evaluated {
        let Some((name, before)) = names.split_last() else {
            return Ok(receiver);
        };
        let receiver = self.fields(first, receiver, before)?;
        let values = self.arguments(args)?;
        self.field(first, &receiver, name, &values)
    }

    fn arguments(&mut self, args: CallArgs<'_>) -> Result<Vec<Value>, TemplateError> {
        let mut values = Vec::with_capacity(args.rest.len() + 1);
        for operand in args.rest {
            values.push(self.operand(operand, args.dot)?);
        }
        values.extend(args.last);
        Ok(values)
    }

    fn field(&mut self, at: &Operand, receiver: &Value, name: &str, args: &[Value]) -> Evaluated {
        self.step()?;
        let found = match receiver {
            Value::NoValue => match self.set.missing_key() {
                MissingKey::Error => return self.fail_at(at, format!("nil data; no entry for key {name:?}")),
                _ => return Ok(Value::NoValue),
            },
            Value::Nil => {
                return self.fail_at(at, format!("nil pointer evaluating interface {{}}.{name}"));
            }
            Value::Object(object) => {
                if let Some(result) = object.call(name, args) {
                    return self.called((at.pos, at), name, result);
                }
                object.field(name).map_or_else(|| object.map_zero().map(Err), |value| Some(Ok(value)))
            }
            Value::Map(map) => Some(map.entries.get(name).cloned().ok_or_else(|| map.zero.clone())),
            _ => None,
        };
        let value = match found {
            None => {
                let kind = receiver.type_name();
                return self.fail_at(at, format!("can't evaluate field {name} in type {kind}"));
            }
            Some(Ok(value)) => value,
            Some(Err(zero)) => match self.set.missing_key() {
                MissingKey::Zero => zero,
                MissingKey::Default => Value::NoValue,
                MissingKey::Error => {
                    return self.fail_at(at, format!("map has no entry for key {name:?}"));
                }
            },
        };
        if args.is_empty() {
            return Ok(value);
        }
        match value {
            // A field of function type is called by `call` only, as in Go.
            Value::Function(_) | Value::Object(_) | Value::Map(_) => {
                self.fail_at(at, format!("{name} is not a method but has arguments"))
            }
            _ if matches!(receiver, Value::Map(_)) => {
                self.fail_at(at, format!("{name} is not a method but has arguments"))
            }
            _ => self.fail_at(at, format!("{name} has arguments but cannot be invoked as function")),
        }
    }

    fn function(&mut self, command: &Command, first: &Operand, name: &str, args: CallArgs<'_>) -> Evaluated {
        // These two stop at the operand that decides; what follows is not evaluated.
        if (name == "and" || name == "or") && (!args.rest.is_empty() || args.last.is_some()) {
            let mut value = Value::Nil;
            for operand in args.rest {
                value = self.operand(operand, args.dot)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(args.last.unwrap_or(value));
        }
        let values = self.arguments(args)?;
        self.call_by_name(first, (command.pos, command), name, &values)
    }

    /// Calls a function; `shown` is what an error of the function itself points at.
    fn call_by_name(
        &mut self,
        at: &Operand,
        shown: (usize, &dyn Display),
        name: &str,
        args: &[Value],
    ) -> Evaluated {
        let Some(function) = self.functions.get(name) else {
            return self.fail_at(at, format!("{name:?} is not a defined function"));
        };
        let function = function.clone();
        if args.len() < function.args_min || args.len() > function.args_max {
            let at_least = if function.args_max == usize::MAX { "at least " } else { "" };
            let wanted = if args.len() < function.args_min { function.args_min } else { function.args_max };
            let got = args.len();
            return self
                .fail_at(at, format!("wrong number of args for {name}: want {at_least}{wanted} got {got}"));
        }
        let result = self.call(&function, args);
        self.called(shown, name, result)
    }

    fn called(
        &self,
        (pos, node): (usize, &dyn Display),
        name: &str,
        result: Result<Value, CallError>,
    ) -> Evaluated {
        match result {
            Ok(value) => Ok(value),
            Err(CallError::Template(error)) if matches!(*error, TemplateError::Limit { .. }) => Err(*error),
            Err(error) => self.fail(pos, node, format!("error calling {name}: {error}")),
        }
    }
}

/// What a command gives its first operand: the operands after it and the value piped in.
struct CallArgs<'c> {
    rest: &'c [Operand],
    dot: &'c Value,
    last: Option<Value>,
}
