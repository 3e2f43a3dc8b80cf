using System.Globalization;
using System.Text;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Limiting;

/// <summary>A limit of one endpoint, in addition to the general ones.</summary>
/// <param name="Limiter">The limiter.</param>
/// <param name="OfAddress">Whether it counts per address or per account.</param>
/// <param name="Spends">Whether the request is counted before the endpoint runs. Otherwise the feature counts, and only the headers come from here.</param>
internal sealed record EndpointLimit(Func<RateLimits, RateLimiter<Guid>> Limiter, bool OfAddress, bool Spends);

/// <summary>
/// Rate limits of HTTP: per address before any database statement, then per account after authentication. A rejection needs no exception and no database.
/// Responses carry <c>RateLimit-Policy</c> and <c>RateLimit</c> (draft-ietf-httpapi-ratelimit-headers-09), and rejections <c>Retry-After</c>.
/// </summary>
internal static class LimitingFeature
{
    public static void AddLimiting(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<RateLimitOptions>().BindConfiguration(RateLimitOptions.Section)
            .Validate(
                options => options.All.All(rule => rule.IsValid),
                "A rule of RateLimits has a Burst from 1 to 1000000000 and PerMinute from 0.001 to 1000000000. "
                + "For practically no limit, set both to the maximum.")
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
            if (context.GetEndpoint()?.Metadata.GetMetadata<NeverLimited>() is not null)
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

    public static TBuilder LimitAddress<TBuilder>(this TBuilder endpoint, Func<RateLimits, RateLimiter<Guid>> limiter)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new EndpointLimit(limiter, OfAddress: true, Spends: true));

    public static TBuilder LimitAccount<TBuilder>(this TBuilder endpoint, Func<RateLimits, RateLimiter<Guid>> limiter)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new EndpointLimit(limiter, OfAddress: false, Spends: true));

    public static TBuilder ShowLimit<TBuilder>(this TBuilder endpoint, Func<RateLimits, RateLimiter<Guid>> limiter)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new EndpointLimit(limiter, OfAddress: false, Spends: false));

    /// <summary>The limits that one request was counted against.</summary>
    private sealed class Charge(HttpContext context)
    {
        private readonly List<(RateLimiter<Guid> Limiter, Guid Key)> shown = [];
        private (RateLimiter<Guid> Limiter, TimeSpan Wait) refused;

        /// <summary>
        /// Counts the request. Unless <paramref name="shown"/>, headers reveal the limit only when it rejects: several clients share the address.
        /// </summary>
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
            // Otherwise the object lives as long as a hub connection.
            context.Features.Set<Charge>(null);
            if (shown.Count == 0)
                return Task.CompletedTask;
            var (policies, states) = (new StringBuilder(), new StringBuilder());
            foreach (var (limiter, key) in shown)
            {
                var separator = policies.Length == 0 ? "" : ", ";
                var (rule, state) = (limiter.Rule!, limiter.State(key));
                var seconds = Math.Ceiling(rule.Burst / rule.PerMinute * 60);
                policies.Append(CultureInfo.InvariantCulture, $"{separator}\"{limiter.Name}\";q={rule.Burst};w={seconds}");
                states.Append(CultureInfo.InvariantCulture, $"{separator}\"{limiter.Name}\";r={state.Remaining};t={state.ResetSeconds}");
            }

            context.Response.Headers["RateLimit-Policy"] = policies.ToString();
            context.Response.Headers["RateLimit"] = states.ToString();
            return Task.CompletedTask;
        }
    }
}
