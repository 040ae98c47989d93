"""Tools shared by every room of the package; public: `estimator_checks`."""
