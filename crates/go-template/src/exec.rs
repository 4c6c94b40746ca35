//! Rendering: walks a tree, bounded in steps, depth and output.

use std::sync::Arc;

use crate::functions::TemplateCaller;
use crate::html::HtmlContext;
use crate::node::{Branch, Node, Operand, Pipe, Tree};
use crate::{CallError, Function, Functions, Limits, Mode, TemplateError, TemplateSet, Value, printf};

mod eval;

/// What a node leaves the loop around it to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// A rendering under way.
pub(crate) struct Exec<'a> {
    set: &'a TemplateSet,
    functions: &'a Functions,
    limits: Limits,
    html: Option<HtmlContext>,
    tree: Arc<Tree>,
    variables: Vec<(Arc<str>, Value)>,
    output: String,
    steps: usize,
    depth: usize,
}

impl<'a> Exec<'a> {
    pub(crate) fn new(set: &'a TemplateSet, functions: &'a Functions, mode: Mode, limits: &Limits) -> Self {
        let none =
            Tree { name: String::new(), parse_name: String::new(), text: "".into(), nodes: Vec::new() };
        Self {
            set,
            functions,
            limits: *limits,
            html: (mode == Mode::Html).then(HtmlContext::default),
            tree: Arc::new(none),
            variables: Vec::new(),
            output: String::new(),
            steps: 0,
            depth: 0,
        }
    }

    pub(crate) fn run(mut self, name: &str, data: &Value) -> Result<String, TemplateError> {
        self.template(name, data)?;
        Ok(self.output)
    }

    fn template(&mut self, name: &str, data: &Value) -> Result<(), TemplateError> {
        let tree = Arc::clone(self.set.get(name)?);
        self.deeper()?;
        let outer_tree = std::mem::replace(&mut self.tree, Arc::clone(&tree));
        let outer_variables = std::mem::replace(&mut self.variables, vec![("$".into(), data.clone())]);
        self.list(&tree.nodes, data)?;
        self.variables = outer_variables;
        self.tree = outer_tree;
        self.depth -= 1;
        Ok(())
    }

    fn step(&mut self) -> Result<(), TemplateError> {
        self.steps += 1;
        if self.steps > self.limits.steps { self.limit("steps", self.limits.steps) } else { Ok(()) }
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return self.limit("levels of nesting", self.limits.depth);
        }
        Ok(())
    }

    fn limit<T>(&self, what: &'static str, limit: usize) -> Result<T, TemplateError> {
        Err(TemplateError::Limit { name: self.tree.name.clone(), what, limit })
    }

    fn fail<T>(
        &self,
        pos: usize,
        node: &dyn std::fmt::Display,
        message: impl Into<String>,
    ) -> Result<T, TemplateError> {
        let (line, column) = self.tree.place(pos);
        Err(TemplateError::Render {
            name: self.tree.parse_name.clone(),
            line,
            column,
            executing: self.tree.name.clone(),
            node: node.to_string(),
            message: message.into(),
        })
    }

    fn fail_at<T>(&self, operand: &Operand, message: impl Into<String>) -> Result<T, TemplateError> {
        self.fail(operand.pos, operand, message)
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.output.len() + text.len() > self.limits.output_bytes {
            return self.limit("bytes of output", self.limits.output_bytes);
        }
        self.output.push_str(text);
        Ok(())
    }

    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        self.deeper()?;
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                self.depth -= 1;
                return Ok(flow);
            }
        }
        self.depth -= 1;
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        self.step()?;
        match node {
            Node::Text(text) => match &mut self.html {
                Some(html) => {
                    let kept = html.literal(text);
                    self.write(&kept)?;
                }
                None => self.write(text)?,
            },
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.print(pipe, &value)?;
                }
            }
            Node::If(branch) => return self.if_or_with(branch, dot, false),
            Node::With(branch) => return self.if_or_with(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template { pos, name, pipe } => {
                let data = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Nil,
                };
                if !self.set.contains(name) {
                    let node = format!("{{{{template {name:?}}}}}");
                    return self.fail(*pos, &node, format!("template {name:?} not defined"));
                }
                self.template(name, &data)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, pipe: &Pipe, value: &Value) -> Result<(), TemplateError> {
        if let Value::Function(_) = value {
            return self.fail(pipe.pos, pipe, "can't print func of type func");
        }
        match &mut self.html {
            Some(html) => {
                let escaped = html.value(value);
                self.write(&escaped)
            }
            None => match value.as_str() {
                Some(text) => self.write(text),
                None => {
                    let text = printf::format_value(value);
                    self.write(&text)
                }
            },
        }
    }

    fn if_or_with(&mut self, branch: &Branch, dot: &Value, is_with: bool) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if value.is_true() {
            self.list(&branch.body, if is_with { &value } else { dot })?
        } else {
            self.list(&branch.otherwise, dot)?
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        let value = self.pipe_value(&branch.pipe, dot)?;
        let mut any = false;
        let mut flow = Flow::Next;
        match &value {
            Value::Int(count) => {
                for idx in 0..*count {
                    any = true;
                    let element = Value::Int(idx);
                    if self.round(branch, element.clone(), &element)? == Flow::Break {
                        break;
                    }
                }
            }
            value => {
                let Some(items) = self.items(value) else {
                    let shown = printf::format_value(value);
                    return self.fail(
                        branch.pipe.pos,
                        &branch.pipe,
                        format!("range can't iterate over {shown}"),
                    );
                };
                for (index, element) in items {
                    any = true;
                    if self.round(branch, index, &element)? == Flow::Break {
                        break;
                    }
                }
            }
        }
        if !any {
            flow = self.list(&branch.otherwise, dot)?;
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn items(&self, value: &Value) -> Option<Vec<(Value, Value)>> {
        match value {
            Value::List(values) => {
                Some(values.iter().enumerate().map(|(idx, v)| (Value::Int(idx as i64), v.clone())).collect())
            }
            Value::Map(map) => {
                Some(map.entries.iter().map(|(k, v)| (Value::from(k.as_str()), v.clone())).collect())
            }
            Value::Object(object) => object.items(),
            Value::Nil | Value::NoValue => Some(Vec::new()),
            _ => None,
        }
    }

    fn round(&mut self, branch: &Branch, index: Value, element: &Value) -> Result<Flow, TemplateError> {
        self.step()?;
        let scope = self.variables.len();
        let pipe = &branch.pipe;
        let values = match pipe.variables.len() {
            2 => vec![index, element.clone()],
            _ => vec![element.clone()],
        };
        for (name, value) in pipe.variables.iter().zip(values) {
            if pipe.assigns {
                self.assign(name, value);
            } else {
                self.variables.push((Arc::clone(name), value));
            }
        }
        let flow = self.list(&branch.body, element)?;
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some(slot) = self.variables.iter_mut().rev().find(|(known, _)| **known == *name) {
            slot.1 = value;
        }
    }
}

impl TemplateCaller for Exec<'_> {
    fn render(&mut self, name: &str, data: &Value) -> Result<String, TemplateError> {
        // A caller may go on after an error, so that everything is put back here.
        let outer_output = std::mem::take(&mut self.output);
        let outer_html = self.html.as_mut().map(std::mem::take);
        let outer_tree = Arc::clone(&self.tree);
        let outer_variables = std::mem::take(&mut self.variables);
        let outer_depth = self.depth;
        let result = self.template(name, data);
        let output = std::mem::replace(&mut self.output, outer_output);
        self.html = outer_html;
        self.tree = outer_tree;
        self.variables = outer_variables;
        self.depth = outer_depth;
        result.map(|()| output)
    }

    fn call(&mut self, function: &Function, args: &[Value]) -> Result<Value, CallError> {
        self.step()?;
        if args.len() < function.args_min || args.len() > function.args_max {
            let at_least = if function.args_max == usize::MAX { "at least " } else { "" };
            let wanted = if args.len() < function.args_min { function.args_min } else { function.args_max };
            return Err(format!("wrong number of args: want {at_least}{wanted} got {}", args.len()).into());
        }
        let body = Arc::clone(&function.body);
        let value = body(self, args)?;
        if let Some(text) = value.as_str()
            && text.len() > self.limits.output_bytes
        {
            self.limit("bytes of output", self.limits.output_bytes)?;
        }
        Ok(value)
    }

    fn escapes_html(&self) -> bool {
        self.html.is_some()
    }
}
