"""One module for each contestant, with functions of the same names; a module leaves out what it cannot do."""
