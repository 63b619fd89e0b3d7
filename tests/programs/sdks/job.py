"""One call as the test wants it, and what adapters share to make it either way, awaited or not."""

import contextlib
import dataclasses
import inspect


@dataclasses.dataclass
class Job:
    case: str
    sdk: str
    call: str
    url: str  # scheme, host and port
    path: str  # with the query, as it was recorded
    request: dict  # as it was recorded
    stream: bool
    asynchronous: bool
    retries: int

    @property
    def query(self):
        pairs = self.path.partition("?")[2].split("&")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def base(self, *ends):
        """The URL without that end of its path which the SDK appends by itself."""
        path = self.path.partition("?")[0]
        for end in ends:
            if path.endswith(end):
                return self.url + path.removesuffix(end)
        return self.url


async def settle(value):
    """The value itself, or what it gives when awaited."""
    return await value if inspect.isawaitable(value) else value


async def parts(job, answer):
    """The items of a stream, whichever way they are asked for, or the answer that is no stream."""
    if not job.stream:
        yield answer
    elif job.asynchronous:
        async for item in answer:
            yield item
    else:
        for item in answer:
            yield item


@contextlib.asynccontextmanager
async def closing(client):
    """A client of either kind, closed at the end."""
    try:
        yield client
    finally:
        await settle(client.close())


def known(function, arguments):
    """The arguments that a function has a parameter for, as keywords."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in names}


def fitting(function, arguments):
    """As `known`; the others go into `extra_body`."""
    keywords = known(function, arguments)
    extra = {name: value for name, value in arguments.items() if name not in keywords}
    return {**keywords, "extra_body": extra} if extra else keywords
