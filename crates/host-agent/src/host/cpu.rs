//! CPU time by mode, from /proc/stat.

use super::{CollectError, HostContext};
use crate::page::{Kind, Page};

/// What /proc/stat counts in: USER_HZ, which is 100 on every architecture that Linux has.
const TICKS_PER_SECOND: f64 = 100.0;
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// The kernel may correct these two downwards; a counter must not follow.
const NEVER_FALLING: [usize; 2] = [3, 4];

/// The largest idle and iowait ticks that each CPU has shown.
#[derive(Debug, Default)]
pub(super) struct CpuMemory(Vec<(String, [u64; 2])>);

/// Ticks of one CPU: the eight modes, then guest and guest_nice.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CpuTicks {
    cpu: String,
    ticks: [u64; 10],
}

pub(super) fn collect(ctx: &HostContext, page: &mut Page) -> Result<(), CollectError> {
    let text = ctx.read(&ctx.roots.proc("stat"))?;
    let mut cpus = parse(&text);
    if cpus.is_empty() {
        return Err(CollectError::NoData { what: "no CPU in /proc/stat".to_owned() });
    }
    ctx.cpu.lock().keep_from_falling(&mut cpus);
    render(&cpus, page);
    Ok(())
}

fn parse(text: &str) -> Vec<CpuTicks> {
    let mut cpus = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(cpu) = words.next().and_then(|word| word.strip_prefix("cpu")) else { continue };
        if cpu.is_empty() {
            continue;
        }
        let mut ticks = [0; 10];
        for (slot, word) in ticks.iter_mut().zip(words) {
            *slot = word.parse().unwrap_or(0);
        }
        cpus.push(CpuTicks { cpu: cpu.to_owned(), ticks });
    }
    cpus
}

impl CpuMemory {
    fn keep_from_falling(&mut self, cpus: &mut [CpuTicks]) {
        for cpu in cpus {
            let known = match self.0.iter().position(|(name, _)| *name == cpu.cpu) {
                Some(idx) => &mut self.0[idx].1,
                None => {
                    self.0.push((cpu.cpu.clone(), [0; 2]));
                    let last = self.0.len() - 1;
                    &mut self.0[last].1
                }
            };
            for (largest, mode) in known.iter_mut().zip(NEVER_FALLING) {
                *largest = (*largest).max(cpu.ticks[mode]);
                cpu.ticks[mode] = *largest;
            }
        }
    }
}

fn render(cpus: &[CpuTicks], page: &mut Page) {
    let mut seconds =
        page.family("node_cpu_seconds_total", Kind::Counter, "Seconds the CPUs spent in each mode.");
    for cpu in cpus {
        for (mode, ticks) in MODES.iter().zip(cpu.ticks) {
            seconds.add(&[("cpu", &cpu.cpu), ("mode", mode)], ticks as f64 / TICKS_PER_SECOND);
        }
    }
    let help = "Seconds the CPUs spent in guests (VMs) for each mode.";
    let mut guest = page.family("node_cpu_guest_seconds_total", Kind::Counter, help);
    for cpu in cpus {
        for (mode, ticks) in ["user", "nice"].iter().zip(&cpu.ticks[8..]) {
            guest.add(&[("cpu", &cpu.cpu), ("mode", mode)], *ticks as f64 / TICKS_PER_SECOND);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_iowait_never_fall() {
        let mut memory = CpuMemory::default();
        let mut first = parse("cpu  9 9\ncpu0 1 2 3 400 50 6 7 8 9 10\n");
        memory.keep_from_falling(&mut first);
        let mut second = parse("cpu0 2 2 3 390 60 6 7 8 9 10\nintr 5\n");
        memory.keep_from_falling(&mut second);
        assert_eq!(second, vec![CpuTicks { cpu: "0".into(), ticks: [2, 2, 3, 400, 60, 6, 7, 8, 9, 10] }]);
    }
}
