using System.Globalization;
using System.Text;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Limiting;

/// <summary>A limit of an endpoint beside the general ones.</summary>
/// <param name="Limiter">Which.</param>
/// <param name="OfAddress">Whether the address is counted, or the account.</param>
/// <param name="Spends">Whether the request is counted before the endpoint runs; else the feature counts what it does, and only the headers come from here.</param>
internal sealed record EndpointLimit(Func<RateLimits, RateLimiter<Guid>> Limiter, bool OfAddress, bool Spends);

/// <summary>
/// Limits on HTTP. First the address is counted, before anything costs a statement; once it is known who asks, the account. Refusals cost neither an exception nor
/// the database. Replies carry <c>RateLimit-Policy</c> and <c>RateLimit</c> (draft-ietf-httpapi-ratelimit-headers-09), and refusals <c>Retry-After</c>.
/// </summary>
internal static class LimitingFeature
{
    private static readonly object NeverLimited = new NeverLimitedNote();

    public static void AddLimiting(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<RateLimitOptions>().BindConfiguration(RateLimitOptions.Section)
            .Validate(
                options => options.All.All(rule => rule.IsValid),
                "A rule of RateLimits has a Burst from 1 to 1000000000 and PerMinute from 0.001 to 1000000000. For practically no limit set both high.")
            .ValidateOnStart();
        builder.Services.AddOptions<QuotaOptions>().BindConfiguration(QuotaOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddOptions<Limits>().BindConfiguration(TightenedLimits.Section)
            .ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<Limits>, TightenedLimits>();
        builder.Services.AddSingleton(provider => ByteQuotas.Report(
            provider.GetRequiredService<IOptions<Limits>>().Value, provider.GetRequiredService<IOptions<QuotaOptions>>().Value,
            provider.GetRequiredService<IOptions<RateLimitOptions>>().Value.Enabled));
        builder.Services.AddSingleton<ByteQuotas>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<ByteQuotas>());
        builder.Services.AddSingleton<RateLimits>();
    }

    public static void UseAddressLimits(this WebApplication app)
    {
        var limits = app.Services.GetRequiredService<RateLimits>();
        app.Use((context, next) =>
        {
            if (context.GetEndpoint()?.Metadata.GetMetadata<NeverLimitedNote>() is not null)
                return next(context);
            var charge = new Charge(context);
            context.Features.Set(charge);
            context.Response.OnStarting(static state => ((Charge)state).WriteAsync(), charge);
            var address = ClientAddress.Of(context);
            var passes = charge.Take(limits.RequestsOfAddress, address, shown: false)
                && (!context.AsksForWebSocket() || charge.Take(limits.ConnectsOfAddress, address, shown: false));
            foreach (var limit in context.GetEndpoint()?.Metadata.GetOrderedMetadata<EndpointLimit>() ?? [])
                passes = passes && (!limit.OfAddress || charge.Take(limit.Limiter(limits), address));
            return passes ? next(context) : charge.RefuseAsync();
        });
    }

    public static void UseAccountLimits(this WebApplication app)
    {
        var limits = app.Services.GetRequiredService<RateLimits>();
        app.Use((context, next) =>
        {
            if (context.Features.Get<Charge>() is not { } charge || context.User.Identity?.IsAuthenticated != true)
                return next(context);
            var account = Caller.From(context.User).UserId;
            var passes = charge.Take(limits.Requests, account) && (!context.AsksForWebSocket() || charge.Take(limits.Connects, account));
            foreach (var limit in context.GetEndpoint()?.Metadata.GetOrderedMetadata<EndpointLimit>() ?? [])
            {
                if (limit is { OfAddress: false, Spends: false })
                    charge.Show(limit.Limiter(limits), account);
                else if (!limit.OfAddress)
                    passes = passes && charge.Take(limit.Limiter(limits), account);
            }

            return passes ? next(context) : charge.RefuseAsync();
        });
    }

    /// <summary>Counts requests of this endpoint for the address that they come from.</summary>
    public static TBuilder LimitAddress<TBuilder>(this TBuilder endpoint, Func<RateLimits, RateLimiter<Guid>> limiter)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new EndpointLimit(limiter, OfAddress: true, Spends: true));

    /// <summary>Counts requests of this endpoint for the account.</summary>
    public static TBuilder LimitAccount<TBuilder>(this TBuilder endpoint, Func<RateLimits, RateLimiter<Guid>> limiter)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new EndpointLimit(limiter, OfAddress: false, Spends: true));

    /// <summary>Shows a limit of the account that the feature itself counts.</summary>
    public static TBuilder ShowLimit<TBuilder>(this TBuilder endpoint, Func<RateLimits, RateLimiter<Guid>> limiter)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new EndpointLimit(limiter, OfAddress: false, Spends: false));

    /// <summary>For probes: a node must not be taken out because somebody else asks too much.</summary>
    public static TBuilder NeverLimit<TBuilder>(this TBuilder endpoint)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(NeverLimited);

    private sealed class NeverLimitedNote;

    /// <summary>What one request was counted for.</summary>
    private sealed class Charge(HttpContext context)
    {
        private readonly List<(RateLimiter<Guid> Limiter, Guid Key)> shown = [];
        private (RateLimiter<Guid> Limiter, TimeSpan Wait) refused;

        /// <param name="limiter">From which.</param>
        /// <param name="key">For whom.</param>
        /// <param name="shown">False for what others at the same address share: a reply does not tell how busy they are, unless it is why it refuses.</param>
        public bool Take(RateLimiter<Guid> limiter, Guid key, bool shown = true)
        {
            var passes = limiter.TrySpend(key, 1, out var wait);
            if (!passes)
                refused = (limiter, wait);
            if (shown || !passes)
                Show(limiter, key);
            return passes;
        }

        public void Show(RateLimiter<Guid> limiter, Guid key)
        {
            if (limiter.Rule is not null)
                shown.Add((limiter, key));
        }

        public Task RefuseAsync() => ProblemMapper.WriteAsync(context, refused.Limiter.Refuse(refused.Wait).ToBody(), context.RequestAborted);

        public Task WriteAsync()
        {
            // It would be kept as long as a connection to the hub.
            context.Features.Set<Charge>(null);
            if (shown.Count == 0)
                return Task.CompletedTask;
            var (policies, states) = (new StringBuilder(), new StringBuilder());
            foreach (var (limiter, key) in shown)
            {
                var separator = policies.Length == 0 ? "" : ", ";
                var (rule, state) = (limiter.Rule!, limiter.State(key));
                policies.Append(CultureInfo.InvariantCulture, $"{separator}\"{limiter.Name}\";q={rule.Burst};w={Math.Ceiling(rule.Burst / rule.PerMinute * 60)}");
                states.Append(CultureInfo.InvariantCulture, $"{separator}\"{limiter.Name}\";r={state.Remaining};t={state.ResetSeconds}");
            }

            context.Response.Headers["RateLimit-Policy"] = policies.ToString();
            context.Response.Headers["RateLimit"] = states.ToString();
            return Task.CompletedTask;
        }
    }
}
