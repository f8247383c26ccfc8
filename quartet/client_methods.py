"""How functions of `quartet.requests` become methods of both clients."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from quartet.operations import Send, Steps
from quartet.requests.request import PagedRequest, Request

if TYPE_CHECKING:
    from quartet.client import AsyncClient, Client

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class ClientMethod(Generic[P, R]):
    """A method of both clients: what `steps` asks the service for, one request after another."""

    def __init__(self, steps: Callable[Concatenate[Send, P], Steps[R]]) -> None:
        self._steps = steps
        _send, *parameters = inspect.signature(steps).parameters.values()
        self._signature = inspect.signature(steps).replace(parameters=parameters)
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._steps)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client._run(self._steps(client._send, *args, **kwargs))

        del method.__wrapped__
        method.__signature__ = self._signature  # type: ignore[attr-defined]
        return method


class ClientList(Generic[P, T]):
    """A method of both clients that goes through a list of the service."""

    def __init__(self, build: Callable[P, PagedRequest[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self._build)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client._pages(self._build(*args, **kwargs))

        return method


def request_method(build: Callable[P, Request[R]]) -> ClientMethod[P, R]:
    """A method that sends what a function of `quartet.requests` builds."""

    @functools.wraps(build)
    def steps(send: Send, /, *args: P.args, **kwargs: P.kwargs) -> Steps[R]:
        return send(build(*args, **kwargs))

    signature = inspect.signature(build)
    sender = inspect.Parameter("send", inspect.Parameter.POSITIONAL_ONLY)
    signature = signature.replace(parameters=[sender, *signature.parameters.values()])
    steps.__signature__ = signature  # type: ignore[attr-defined]
    return ClientMethod(steps)
