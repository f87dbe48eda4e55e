"""What a person reads, and the last line."""

from rich.console import Console

from bench.feed.rounds import Measured
from bench.figures import percentile
from bench.tables import table_of


def show(console: Console, measured: Measured) -> None:
    table = table_of(
        f"Live feed, {measured.connections} connections to one API process: ms from the event's row to its message",
        "what",
        "p50 ms",
        "p99 ms",
        "messages",
    )
    for words, latencies_ms in (
        (f"at a steady pace, {measured.steady_per_s:.0f} a second", measured.steady_ms),
        ("to everybody at once", measured.burst_ms),
    ):
        figures = (percentile(latencies_ms, percent) for percent in (50, 99))
        table.add_row(words, *(f"{figure:.0f}" for figure in figures), str(len(latencies_ms)))
    console.print()
    console.print(table)
    console.print(
        f"Memory of the API: {measured.api_idle_mb:.0f} MB without them, {measured.api_mb:.0f} MB with them, "
        f"{measured.kb_per_connection:.0f} kB a connection. Processor time of the API: {measured.steady_cpu_ms:.2f} ms a message "
        "and connection. Every message came once and in order.",
        highlight=False,
    )


def as_json(measured: Measured) -> dict[str, object]:
    return {
        "connections": measured.connections,
        "steady_per_s": round(measured.steady_per_s),
        "steady_p50_ms": round(percentile(measured.steady_ms, 50), 1),
        "steady_p99_ms": round(percentile(measured.steady_ms, 99), 1),
        "burst_p50_ms": round(percentile(measured.burst_ms, 50), 1),
        "burst_p99_ms": round(percentile(measured.burst_ms, 99), 1),
        "messages": len(measured.steady_ms) + len(measured.burst_ms),
        "kb_per_connection": round(measured.kb_per_connection, 1),
        "api_mb": round(measured.api_mb),
        "api_cpu_ms_a_message": round(measured.steady_cpu_ms, 3),
    }
