use llmtap::{
    capture::*,
    discover::Gate,
    session::{Attacher, command},
};
fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("debug").init();
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let _ = lift_memory_limit();
    let t = std::time::Instant::now();
    let (kernel, maps) =
        Kernel::load(&KernelFilters { required_marks: 1, ..Default::default() }, 16 << 20, false)
            .unwrap_or_else(|e| {
                let mut s: Option<&dyn std::error::Error> = Some(&e);
                while let Some(x) = s {
                    eprintln!("{x}");
                    s = x.source();
                }
                std::process::exit(1)
            });
    eprintln!("loaded {:?}", t.elapsed());
    let mut reader = Reader::new(maps);
    let attacher = std::sync::Arc::new(Attacher::new(kernel));
    let held = command::hold(&args).unwrap();
    eprintln!("{:?}", reader.mark(held.pid, 1, 77));
    let mut gate = Gate::around(held.pid).unwrap();
    let a = attacher.clone();
    std::thread::spawn(move || gate.serve(&mut |f, p| a.held_file(f, p)));
    eprintln!("ready {:?}", t.elapsed());
    let mut child = held.release().unwrap();
    let done = std::thread::spawn(move || child.wait());
    loop {
        let end = done.is_finished();
        let n = reader.read(1000, &mut |e| match e {
            Event::Segment(s) => {
                let (l, p) = match s.data {
                    Data::Bytes(b) => {
                        (b.len(), String::from_utf8_lossy(&b[..b.len().min(60)]).into_owned())
                    }
                    Data::Gap(n) => (n as usize, "GAP".into()),
                };
                eprintln!("{:?} {:?} @{} +{} {:?}", s.connection, s.direction, s.offset, l, p)
            }
            e => eprintln!("{e:?}"),
        });
        if n == 0 && end {
            break;
        }
        if n == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    eprintln!("{:?} {:?}", reader.lost(), done.join());
}
