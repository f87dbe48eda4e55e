"""The ground floor: words of the domain, messages of the workflows, states, errors, settings and tables. Imports nothing of ours."""
