"""Searches nobody waits for with an open request: they go on in the background, and each step is in the books."""

import asyncio
from contextlib import aclosing

from structlog.stdlib import get_logger

from search.searching import Searching, Wish, ended
from store.database import AWAY
from store.searches import StoredSearch

_log = get_logger(__name__)


class Running:
    """Owns the background searches of this process."""

    def __init__(self, searching: Searching) -> None:
        self._searching = searching
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, wish: Wish) -> StoredSearch:
        """Stores the search and lets it run."""
        search = self._searching.started(wish)
        await self._searching.store(search)
        task = asyncio.create_task(self._run(search, wish.correlation_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return search

    async def aclose(self) -> None:
        """Ends what is running; whoever has not answered is told as too late."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, search: StoredSearch, correlation_id: str) -> None:
        try:
            async with aclosing(self._searching.steps(search, correlation_id)) as steps:
                async for finding in steps:
                    search = finding.search
                    await self._searching.store(search)
        except asyncio.CancelledError:
            await self._searching.store(ended(search))
            raise
        except AWAY as error:
            # Whoever asks for it sees it end at its deadline.
            _log.warning("search_not_stored", search_id=search.search_id, error=type(error).__name__)
