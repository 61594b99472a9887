"""The servers users run, each as a process of its own. Mirrors nothing: what is proven here is the whole."""
