"""As much of langchain-core as the example uses, for tests: a tool made of a function, whose
arguments are checked by its signature."""
import inspect


class StructuredTool:
    def __init__(self, func):
        self.func, self.name, self.description = func, func.__name__, inspect.getdoc(func)
        self.signature = inspect.signature(func)

    @classmethod
    def from_function(cls, func):
        assert func.__doc__, "a tool needs a description"
        assert all(p.annotation is not p.empty for p in inspect.signature(func).parameters.values())
        return cls(func)

    def invoke(self, arguments):
        self.signature.bind(**arguments)
        return self.func(**arguments)
